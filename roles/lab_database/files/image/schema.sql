-- SPDX-License-Identifier: GPL-3.0-or-later
-- Invented rows, so that a restored or upgraded database can be told from an empty one.
CREATE TABLE encounter (id integer PRIMARY KEY, ward text NOT NULL, opened timestamptz NOT NULL);
INSERT INTO encounter SELECT n, 'ward ' || n % 7, timestamptz '2026-01-01' + n * interval '1 hour'
  FROM generate_series(1, 1000) AS n;
ALTER TABLE encounter OWNER TO portal;
