# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that own data."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.data_owners import owns_data


@pytest.mark.parametrize("name", ["postgresql-15", "orthanc", "slapd", "mariadb-server", "mysql-server-8.0"])
def test_these_do(name):
    assert owns_data(name)


@pytest.mark.parametrize("name", ["postgresql-client-15", "libpq5", "nginx", "postgresql-15-doc", "postgresql-common"])
def test_these_do_not(name):
    assert not owns_data(name)
