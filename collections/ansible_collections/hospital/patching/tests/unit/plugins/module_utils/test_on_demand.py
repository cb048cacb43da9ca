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

HERE = "ansible_collections.hospital.patching.plugins."
#: Selects the host's package manager as every update module does, and prints what it has imported.
IMPORTED = """
import json, sys
import {here}modules.{module}
from {here}module_utils.package_managers.registry import PACKAGE_MANAGERS
from {here}module_utils.snapshots.registry import PROVIDERS
for registry, name in ((PACKAGE_MANAGERS, {manager!r}), (PROVIDERS, {provider!r})):
    if name is not None:
        assert registry[name].NAME == name
print(json.dumps([name for name in sys.modules if name.startswith({here!r})]))
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


def imported(module, manager=None, provider=None):
    script = IMPORTED.format(here=HERE, module=module, manager=manager, provider=provider)
    path = os.pathsep.join(filter(None, sys.path))
    said = subprocess.check_output([sys.executable, "-c", script], env=dict(os.environ, PYTHONPATH=path))
    return {name[len(HERE) :] for name in json.loads(said.decode())}


@pytest.mark.parametrize(
    "module", ["pending_updates_info", "update_stage", "update_install", "update_verify", "update_rollback"]
)
def test_an_apt_host_without_declared_software_compiles_neither_rpm_nor_software(module):
    found = imported(module, manager="apt")
    assert "module_utils.package_managers.apt_install" in found
    of_others = ("dnf", "rpm", "zypper")
    others = {
        name for name in found if name.startswith(tuple("module_utils.package_managers." + one for one in of_others))
    }
    assert others <= {"module_utils.package_managers.zypper_lock"}
    assert not {name for name in found if name.startswith("module_utils.probes.")}
    assert "module_utils.third_party.work" not in found


def test_a_host_compiles_its_own_snapshot_provider_alone():
    found = imported("host_snapshot", provider="lvm")
    assert "module_utils.snapshots.lvm" in found
    others = ("aws", "btrfs", "container", "hypervisor", "libvirt", "proxmox", "snapper", "vsphere", "preserved")
    assert not {name for name in found if name.startswith(tuple("module_utils.snapshots." + one for one in others))}


def test_a_probe_of_another_type_is_not_compiled():
    found = imported("app_health_info")
    assert "module_utils.probes.registry" in found
    assert not found & {"module_utils.probes." + one for one in ("dicom", "ldap", "log", "postgresql", "web")}
