# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that own data."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.data_owners import DataRules, may_go_back, owns_data


@pytest.mark.parametrize("name", ["postgresql-15", "orthanc", "slapd", "mariadb-server", "mysql-server-8.0"])
def test_these_do(name):
    assert owns_data(name)


@pytest.mark.parametrize("name", ["postgresql-client-15", "libpq5", "nginx", "postgresql-15-doc", "postgresql-common"])
def test_these_do_not(name):
    assert not owns_data(name)


@pytest.mark.parametrize(
    "name",
    [
        "postgresql-server",
        "postgresql15-server",
        "postgresql17-server",
        "mariadb",
        "mariadb-server-galera",
        "mariadb10.11-server",
        "MariaDB-server",
        "mysql8.4-server",
        "mysql-community-server",
        "redis",
        "redis7",
        "valkey",
        "openldap-servers",
        "openldap2",
        "389-ds",
        "samba-dc",
    ],
)
def test_these_do_on_hosts_of_the_rpm_family(name):
    assert owns_data(name)


@pytest.mark.parametrize(
    "name",
    [
        "postgresql",
        "postgresql15",
        "postgresql-libs",
        "postgresql15-server-devel",
        "libmariadb3",
        "mariadb-client",
        "mariadb-connector-c",
        "mysql-community-client",
        "mysql-community-libs",
        "redis7-devel",
        "valkey-devel",
        "openldap",
        "openldap-clients",
        "openldap2-client",
        "openldap2-devel",
        "389-ds-base-libs",
        "samba-client",
    ],
)
def test_clients_and_libraries_of_the_rpm_family_do_not(name):
    assert not owns_data(name)


SAFE = [{"name": "pacsd", "from": "2.1", "to": "2.0"}]


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ({"name": "pacsd", "from": "2.1", "to": "2.0"}, True),
        ({"name": "pacsd", "from": "2.1", "to": "1.9"}, False),
        ({"name": "pacsd", "from": "2.0", "to": "2.1"}, False),
        ({"name": "pacsd", "from": "2.1", "to": None}, False),
        ({"name": "pacsd", "from": None, "to": "2.0"}, True),
        ({"name": "curl", "from": "2", "to": "1"}, True),
        ({"name": "slapd", "from": "2", "to": "1"}, False),
    ],
)
def test_a_data_owner_goes_back_only_for_the_very_pair_that_somebody_answers_for(entry, allowed):
    assert may_go_back(entry, DataRules(["pacs*"], SAFE)) is allowed
