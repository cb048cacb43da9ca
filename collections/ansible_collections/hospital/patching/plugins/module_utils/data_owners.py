# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that own data: many upgrade their schema at the first start, so an older version may not read it.

They are never downgraded automatically unless the transaction's entry says
``downgrade_safe`` for this pair of versions (DESIGN.md, "Never automatic").
Add a line to extend it: shell patterns of package names.
"""

import fnmatch

PATTERNS = (
    "postgresql-[0-9]*",
    "mariadb-server*",
    "mysql-server*",
    "mssql-server*",
    "mongodb*",
    "redis-server",
    "slapd",
    "389-ds-base",
    "samba",
    "samba-ad-dc",
    "couchdb",
    "orthanc",
    "mirthconnect*",
    "elasticsearch",
    "opensearch",
    "influxdb*",
)
#: Clients and libraries that match a pattern above but own nothing.
EXCEPT = ("postgresql-client-*", "*-doc", "*-dev")


def owns_data(name: str) -> bool:
    """Return whether the package ``name`` owns data."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in EXCEPT):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in PATTERNS)
