-- SPDX-License-Identifier: GPL-3.0-or-later
-- Patients that nobody is, for whoever reads them by FHIR.
CREATE TABLE fhir_patient (id text PRIMARY KEY, family text NOT NULL, given text NOT NULL, born date NOT NULL);
INSERT INTO fhir_patient SELECT 'p' || n, 'Test', 'Number ' || n, date '1950-01-01' + n * 97
  FROM generate_series(1, 200) AS n;
ALTER TABLE fhir_patient OWNER TO portal;
