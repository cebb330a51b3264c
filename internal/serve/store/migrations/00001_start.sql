-- Times are nanoseconds since 1970 (0: never); secrets are kept as sha256 only.
-- +goose Up
CREATE TABLE machines (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL UNIQUE,
  uuid         TEXT NOT NULL DEFAULT '',
  approval     TEXT NOT NULL,
  reason       TEXT NOT NULL DEFAULT '',  -- why held
  boot         TEXT NOT NULL,             -- desired
  root_words   TEXT NOT NULL DEFAULT '[]',
  root_order   TEXT NOT NULL DEFAULT '',
  boot_set     TEXT NOT NULL DEFAULT '',  -- pinned, by name
  seen         BIGINT NOT NULL DEFAULT 0,
  boot_attempt TEXT NOT NULL DEFAULT '',  -- of the newest hello
  boot_id      TEXT NOT NULL DEFAULT '',
  phase        TEXT NOT NULL DEFAULT '',
  message      TEXT NOT NULL DEFAULT '',
  failed       INTEGER NOT NULL DEFAULT 0,
  address      TEXT NOT NULL DEFAULT '',
  firmware     TEXT NOT NULL DEFAULT '',
  power        TEXT NOT NULL DEFAULT '',
  bmc          TEXT NOT NULL DEFAULT '',  -- name at the power driver
  warnings     TEXT NOT NULL DEFAULT '[]',
  guard_since  BIGINT NOT NULL DEFAULT 0, -- the boot-loop guard counts from here
  created      BIGINT NOT NULL
);
CREATE UNIQUE INDEX machines_uuid ON machines (uuid) WHERE uuid <> '';

CREATE TABLE macs (
  mac     TEXT PRIMARY KEY,
  machine TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  added   BIGINT NOT NULL
);
CREATE INDEX macs_machine ON macs (machine);

CREATE TABLE facts (
  machine  TEXT PRIMARY KEY REFERENCES machines (id) ON DELETE CASCADE,
  document TEXT NOT NULL,
  at       BIGINT NOT NULL
);

CREATE TABLE orders (
  id        TEXT PRIMARY KEY,
  n         BIGINT NOT NULL UNIQUE,
  machine   TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  kind      TEXT NOT NULL,
  spec      TEXT NOT NULL,               -- JSON: {deploy} or {root}
  spec_hash TEXT NOT NULL,
  state     TEXT NOT NULL,
  attempt   INTEGER NOT NULL DEFAULT 0,
  restarts  INTEGER NOT NULL DEFAULT 0,
  boot      TEXT NOT NULL DEFAULT '',    -- attempt id of the boot it was sent to
  phase     TEXT NOT NULL DEFAULT '',
  cut_at    TEXT NOT NULL DEFAULT '',    -- phase in which an earlier attempt was cut, past the first write
  message   TEXT NOT NULL DEFAULT '',
  progress  TEXT NOT NULL DEFAULT '',
  result    TEXT NOT NULL DEFAULT '',
  created   BIGINT NOT NULL,
  updated   BIGINT NOT NULL
);
CREATE INDEX orders_machine ON orders (machine, n);
CREATE UNIQUE INDEX orders_open ON orders (machine) WHERE state IN ('queued', 'sent', 'running');

-- seq 0 is the server's own. told is the teller's time: a repetition has the
-- same, so that two programs of one boot that count alike lose nothing.
CREATE TABLE order_events (
  n        INTEGER PRIMARY KEY,
  machine  TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  order_id TEXT NOT NULL DEFAULT '',
  attempt  INTEGER NOT NULL DEFAULT 0,
  boot     TEXT NOT NULL DEFAULT '',     -- attempt id of the boot
  seq      INTEGER NOT NULL,
  told     BIGINT NOT NULL DEFAULT 0,
  document TEXT NOT NULL
);
CREATE UNIQUE INDEX events_order ON order_events (order_id, attempt, seq, told) WHERE order_id <> '' AND seq > 0;
CREATE UNIQUE INDEX events_boot ON order_events (boot, seq, told) WHERE order_id = '' AND seq > 0;
CREATE INDEX events_machine ON order_events (machine);

CREATE TABLE boots (
  attempt    TEXT PRIMARY KEY,
  n          BIGINT NOT NULL UNIQUE,
  machine    TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  role       TEXT NOT NULL,
  goal       TEXT NOT NULL DEFAULT '',   -- the order this boot is for
  reached    INTEGER NOT NULL DEFAULT 0, -- goal
  boot_set   TEXT NOT NULL,              -- id
  nonce_hash TEXT NOT NULL UNIQUE,
  segment    BLOB,                       -- frozen; NULL once the nonce was used or is old
  created    BIGINT NOT NULL,
  fetched    BIGINT NOT NULL DEFAULT 0,
  hello      BIGINT NOT NULL DEFAULT 0,
  token_hash TEXT NOT NULL DEFAULT '',
  boot_id    TEXT NOT NULL DEFAULT '',
  remote     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX boots_machine ON boots (machine, n);
CREATE UNIQUE INDEX boots_token ON boots (token_hash) WHERE token_hash <> '';

CREATE TABLE images (
  name        TEXT PRIMARY KEY,
  sha256      TEXT NOT NULL,
  size        BIGINT NOT NULL,
  format      TEXT NOT NULL,
  compression TEXT NOT NULL,
  raw_size    BIGINT NOT NULL,
  added       BIGINT NOT NULL,
  verified    BIGINT NOT NULL,
  problem     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX images_sha256 ON images (sha256);

CREATE TABLE bootsets (
  name     TEXT PRIMARY KEY,
  id       TEXT NOT NULL,
  manifest TEXT NOT NULL,
  added    BIGINT NOT NULL
);
CREATE INDEX bootsets_id ON bootsets (id);

CREATE TABLE stamps (
  n       INTEGER PRIMARY KEY,
  machine TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  at      BIGINT NOT NULL,
  what    TEXT NOT NULL,
  note    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX stamps_machine ON stamps (machine, n);

CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
