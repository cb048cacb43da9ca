-- SPDX-License-Identifier: GPL-3.0-or-later
-- What wards order while the hospital is patched; whoever sends an order twice sends the same id.
CREATE TABLE ward_order (
  id uuid PRIMARY KEY, what text NOT NULL, placed timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE ward_order OWNER TO portal;

-- Messages of other systems, as the interface engines keep them.
CREATE TABLE hl7_message (
  control_id text PRIMARY KEY, content text NOT NULL, received timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE hl7_message OWNER TO portal;
