CREATE TABLE IF NOT EXISTS result (
    key        TEXT    PRIMARY KEY,
    value      BLOB    NOT NULL,
    bytes      INTEGER NOT NULL,
    expires_at REAL    NOT NULL
) WITHOUT ROWID;

-- Covers the sweep: what has expired, and the sum of what is left.
CREATE INDEX IF NOT EXISTS result_by_expiry ON result (expires_at, bytes);
