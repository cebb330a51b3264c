-- Each boot script asks for segments that are too old; this finds them without
-- looking at all boots.
-- +goose Up
CREATE INDEX boots_segment ON boots (created) WHERE segment IS NOT NULL;
