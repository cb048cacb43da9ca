# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that own data: many upgrade their schema at the first start, so an older version may not read it.

They are never downgraded automatically unless the site says ``downgrade_safe`` for
this very pair of versions (DESIGN.md, "Never automatic"). Add a line to extend it:
shell patterns of package names. A site adds its own by ``patching_data_owners``.
"""

import fnmatch
from typing import Any, Dict, List, NamedTuple, Sequence

PATTERNS = (
    # Names of the rpm family stand beside Debian's: with the version before -server, or with none.
    "postgresql-[0-9]*",
    "postgresql-server",
    "postgresql[0-9]*-server",
    "mariadb",  # the server on SUSE; the client of EL, which comes with its server, is held with it
    "mariadb-server*",
    "mariadb[0-9]*-server*",
    "MariaDB-server*",
    "mysql-server*",
    "mysql[0-9]*-server*",
    "mysql-community-server*",
    "mysql-commercial-server*",
    "percona-server-server*",
    "mssql-server*",
    "mongodb*",
    "redis",
    "redis[0-9]*",
    "redis-server",
    "valkey",
    "valkey[0-9]*",
    "valkey-server",
    "slapd",
    "openldap-servers",
    "openldap2",
    "389-ds",
    "389-ds-base",
    "samba",
    "samba-dc",
    "samba-ad-dc",
    "couchdb",
    "orthanc",
    "mirthconnect*",
    "elasticsearch",
    "opensearch",
    "influxdb*",
)
#: Clients and libraries that match a pattern above but own nothing.
EXCEPT = ("postgresql-client-*", "*-client", "*-libs", "*-doc", "*-docs", "*-dev", "*-devel")


#: What a site adds: patterns of more owners, and {name, from, to} of downgrades that it has found safe.
DataRules = NamedTuple("DataRules", [("owners", List[str]), ("downgrade_safe", List[Dict[str, str]])])
BUILT_IN = DataRules([], [])


def owns_data(name: str, more: Sequence[str] = ()) -> bool:
    """Return whether the package ``name`` owns data; whatever a pattern in ``more`` names does."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in more):
        return True
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in EXCEPT):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in PATTERNS)


def may_go_back(entry: Dict[str, Any], rules: DataRules) -> bool:
    """Return whether a turned entry, ``from`` the newer version ``to`` the older one, may be done to its data."""
    if not entry["from"] or not owns_data(entry["name"], rules.owners):
        return True
    pair = {key: entry[key] for key in ("name", "from", "to")}
    return any({key: safe.get(key) for key in pair} == pair for safe in rules.downgrade_safe)
