-- SPDX-License-Identifier: GPL-3.0-or-later
-- Invented passwords of a hospital that does not exist.
ALTER ROLE portal PASSWORD 'of-the-lab-only';
CREATE ROLE pair LOGIN REPLICATION PASSWORD 'of-the-lab-only' IN ROLE pg_monitor, pg_checkpoint;
GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO pair;
