-- Generations of a boot set that is pushed: what its name stood for, newest
-- last. The row of bootsets is a copy of the current one.
-- +goose Up
ALTER TABLE bootsets ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- the current one; 0: never pushed

CREATE TABLE generations (
  name     TEXT NOT NULL REFERENCES bootsets (name) ON DELETE CASCADE,
  n        INTEGER NOT NULL,
  id       TEXT NOT NULL,
  manifest TEXT NOT NULL,
  added    BIGINT NOT NULL,
  PRIMARY KEY (name, n)
);
CREATE INDEX generations_id ON generations (id);
