# SPDX-License-Identifier: GPL-3.0-or-later
"""A kind is imported when it is asked for, and by nothing else; what a host needs not is not compiled there."""

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.on_demand import OnDemand
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.registry import PACKAGE_MANAGERS
from ansible_collections.hospital.patching.plugins.module_utils.probes.kinds import PROBES
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import PROVIDERS

HERE = "ansible_collections.hospital.patching.plugins.module_utils."
#: Prints what is imported once ``{work}`` is done, in an interpreter of its own.
IMPORTED = """
import json, os, sys
from {here}host import this_host
{work}
print(json.dumps([name[len({here!r}):] for name in sys.modules if name.startswith({here!r})]))
"""
#: As update modules do, for a transaction of packages alone.
UPDATES = """
from {here}package_managers import registry
from {here}third_party import joined
packages = registry.PACKAGE_MANAGERS[{name!r}](this_host())
packages.pending = packages.verify = packages.install = packages.rollback = lambda *_: {{}}
registry.select = registry.select_for = lambda *_: packages
joined.select("auto", this_host()).pending(None)
joined.select_for({{}}, "auto", this_host()).verify({{"entries": []}}, "to", [])
joined.replaced_folders(this_host(), {{"entries": []}}, [], "to")
"""
PROVIDER = """
from {here}clock import Clock
from {here}runner import Runner
from {here}snapshots import keeping
from {here}snapshots.registry import create_provider
create_provider("lvm", {{"volumes": ["/srv/data"]}}, Runner(), Clock())
"""
PROBE = """
from {here}probes.registry import check
check({{"name": "ssh", "type": "tcp", "host": "127.0.0.1", "port": 22}})
"""


@pytest.fixture
def asked():
    return []


@pytest.fixture
def kinds(asked):
    def importer(name):
        return lambda: asked.append(name) or name.upper()

    return OnDemand({name: importer(name) for name in ("apt", "dnf")})


def test_one_is_imported_when_it_is_asked_for(kinds, asked):
    assert kinds["apt"] == "APT"
    assert asked == ["apt"]


def test_to_ask_for_names_imports_nothing(kinds, asked):
    assert "apt" in kinds
    assert "brew" not in kinds
    assert kinds.get("brew") is None
    assert (sorted(kinds), len(kinds), asked) == (["apt", "dnf"], 2, [])


def test_the_rest_is_not_imported_once_one_is_found(kinds, asked):
    assert next(iter(kinds.values())) == "APT"
    assert asked == ["apt"]


def test_an_unknown_name_is_a_key_error(kinds):
    with pytest.raises(KeyError, match="brew"):
        kinds["brew"]


@pytest.mark.parametrize("registry", [PACKAGE_MANAGERS, PROBES, PROVIDERS])
def test_every_kind_is_registered_under_its_own_name(registry):
    assert {name: kind.NAME for name, kind in registry.items()} == {name: name for name in registry}


def imported(work, **values):
    script = IMPORTED.format(here=HERE, work=work.format(here=HERE, **values))
    path = os.pathsep.join(filter(None, sys.path))
    said = subprocess.check_output([sys.executable, "-c", script], env=dict(os.environ, PYTHONPATH=path))
    return set(json.loads(said.decode()))


def below(found, package):
    return {name[len(package) + 1 :] for name in found if name.startswith(package + ".")}


def test_an_apt_host_without_declared_software_compiles_neither_rpm_nor_software():
    found = imported(UPDATES, name="apt")
    managers = below(found, "package_managers")
    assert "apt_install" in managers
    assert not {name for name in managers if name.startswith(("dnf", "rpm", "zypper"))}
    assert below(found, "third_party") == {"joined", "parts"}
    assert not below(found, "probes")


def test_a_dnf_host_whose_transaction_names_it_compiles_neither_apt_nor_zypper():
    managers = below(imported(UPDATES, name="dnf"), "package_managers")
    assert "dnf_install" in managers
    assert not managers & {"apt", "apt_install", "zypper", "zypper_install"}


def test_a_host_compiles_its_own_snapshot_provider_alone():
    found = below(imported(PROVIDER), "snapshots")
    assert "lvm" in found
    assert not found & (set(PROVIDERS) - {"lvm"})
    assert not {name for name in found if name.startswith(("aws", "hypervisor", "vsphere", "btrfs", "libvirt"))}


def test_a_probe_of_another_type_is_not_compiled():
    kinds = {PROBES[name].__module__.rpartition(".")[2] for name in PROBES}
    assert below(imported(PROBE), "probes") & kinds == {"tcp"}
