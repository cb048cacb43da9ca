-- SPDX-License-Identifier: GPL-3.0-or-later
-- Where the nodes of the archive keep their index; they make its tables themselves.
CREATE ROLE pacs LOGIN PASSWORD 'of-the-lab-only';
CREATE DATABASE pacs OWNER pacs;
