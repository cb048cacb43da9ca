# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package manager drives a host."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import this_host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt import Apt
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import (
    PACKAGE_MANAGERS,
    select,
    select_for,
)


def test_it_is_found_or_named(debian, host):
    assert isinstance(select("auto", host), Apt)
    assert isinstance(select("apt", host), Apt)


def test_an_unknown_name_is_refused(debian, host):
    with pytest.raises(PatchingError, match="auto or one of apt, dnf, dnf5, zypper"):
        select("brew", host)


@pytest.mark.parametrize(
    ("name", "message"),
    [("auto", "none of apt, dnf, dnf5, zypper runs this host"), ("apt", "apt is not installed here")],
)
def test_a_host_of_another_kind_is_refused(tmp_path, name, message):
    with pytest.raises(PatchingError, match=message):
        select(name, this_host()._replace(root=str(tmp_path)))


def test_a_transaction_is_for_the_package_manager_that_resolved_it(debian, host):
    """The host has dpkg and zypper; ``auto`` alone would find apt."""
    for path in ("var/lib/rpm/Packages", "usr/bin/zypper", "etc/zypp/repos.d/oss.repo"):
        debian.root.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        debian.root.joinpath(path).write_text("")
    assert select("auto", host).NAME == "apt"
    assert select_for({"manager": "zypper"}, "auto", host).NAME == "zypper"
    with pytest.raises(PatchingError, match=r"^package manager: apt, for a transaction of zypper; expected zypper"):
        select_for({"manager": "zypper"}, "apt", host)
    with pytest.raises(PatchingError, match="dnf is not installed here"):
        select_for({"manager": "dnf"}, "auto", host)


def test_the_modules_offer_what_is_registered():
    assert arguments.MANAGER["manager"]["choices"] == ["auto"] + list(PACKAGE_MANAGERS)


def test_specs_are_composed():
    merged = arguments.merged(arguments.RUN, arguments.MANAGER)
    assert sorted(merged) == ["evidence_dir", "manager", "run_id", "state_dir", "step"]
