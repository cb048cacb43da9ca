# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf 5's memory of origins, reasons and locks; recorded/dnf5_*.toml are files that dnf 5.4.6 wrote."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import dnf5_state
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

RECORDED = os.path.join(os.path.dirname(__file__), "recorded")


def write(root, relative, text):
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def recorded(name):
    with open(os.path.join(RECORDED, name), encoding="utf-8") as handle:
        return handle.read()


@pytest.fixture
def root(tmp_path):
    for name in ("packages", "nevras"):
        write(tmp_path, "usr/lib/sysimage/libdnf5/{}.toml".format(name), recorded("dnf5_{}.toml".format(name)))
    write(tmp_path, "etc/dnf/versionlock.toml", recorded("dnf5_versionlock.toml"))
    return tmp_path


def test_reasons_and_origins(root):
    assert dnf5_state.present(str(root))
    state = dnf5_state.read(str(root))
    assert len(state.reasons) == 14
    assert dnf5_state.automatic(state, "libdep", "noarch") is True
    assert dnf5_state.automatic(state, "alpha", "noarch") is False
    assert dnf5_state.automatic(state, "unknown", "noarch") is None
    assert dnf5_state.origin(state, "alpha", "1:1.0-1", "noarch") == "baseos"
    assert dnf5_state.origin(state, "viewer", "1.0-1", "noarch") == "vendor-imaging"
    assert dnf5_state.origin(state, "alpha", "1.0-1", "noarch") is None


@pytest.mark.parametrize(("reason", "expected"), [("Weak Dependency", True), ("External User", False)])
def test_a_weak_dependency_is_automatic_and_what_others_installed_is_not(root, reason, expected):
    write(root, "usr/lib/sysimage/libdnf5/packages.toml", recorded("dnf5_packages.toml").replace("Dependency", reason))
    assert dnf5_state.automatic(dnf5_state.read(str(root)), "libdep", "noarch") is expected


def test_a_host_without_dnf_5_has_none(tmp_path):
    assert not dnf5_state.present(str(tmp_path))
    assert dnf5_state.locked(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('version = "2.0"\n[packages]\n', "version"),
        ('version = "1.0"\n\n[packages."a.noarch"]\nreason = "User"\n', "packages"),
        ('version = "1.0"\n[packages]\n"a.noarch" = {reason = "User", since = "x"}\n', "a.noarch"),
        ('version = "1.0"\n[packages]\n"a.noarch" = {from_repo = "x"}\n', "a.noarch"),
        ("", "it ends before version"),
    ],
)
def test_another_format_is_refused_not_guessed(root, text, seen):
    write(root, "usr/lib/sysimage/libdnf5/packages.toml", text)
    with pytest.raises(PatchingError, match="packages.toml: .*{}.*as dnf 5.4 writes it".format(seen)):
        dnf5_state.read(str(root))


def test_a_missing_half_is_named(root):
    (root / "usr/lib/sysimage/libdnf5/nevras.toml").unlink()
    with pytest.raises(PatchingError, match=r"nevras\.toml: .*No such file"):
        dnf5_state.read(str(root))


def held(root, name):
    return any(pattern.match(name) for pattern in dnf5_state.locked(str(root)))


def test_a_versionlock_holds_its_package_alone(root):
    assert held(root, "lockedpkg")
    assert not held(root, "lockedpkg-libs")


def test_patterns_hold_and_single_versions_left_out_do_not(root):
    block = '[[packages]]\nname = "{}"\n[[packages.conditions]]\nkey = "evr"\ncomparator = "{}"\nvalue = "1-1"\n'
    text = 'version = "1.0"\n' + block.format("*nvidia*", "<") + block.format("iftop", "!=")
    write(root, "etc/dnf/versionlock.toml", text)
    assert held(root, "kmod-nvidia-open")
    assert not held(root, "iftop")


ENTRY = '[[packages]]\nname = "{}"\n'
CONDITION = '[[packages.conditions]]\nkey = "{}"\ncomparator = "{}"\nvalue = "{}"\n'


def test_a_recorded_lock_allows_its_own_version_alone(root):
    allowed = [version for version in ("1.0-1", "1.0-2", "1:1.0-1") if allows(root, "lockedpkg", version)]
    assert allowed == ["1.0-1"]
    assert allows(root, "lockedpkg-libs", "9-9")


def allows(root, name, version, arch="noarch"):
    return dnf5_state.allows(str(root), name, version, arch)


@pytest.mark.parametrize(
    ("conditions", "allowed"),
    [
        ([], ["1-1", "2-1", "1:1-1"]),
        ([("evr", "<", "2")], ["1-1"]),
        ([("evr", "<=", "2-1")], ["1-1", "2-1"]),
        ([("evr", ">=", "2-1")], ["2-1", "1:1-1"]),
        ([("evr", ">", "2-1")], ["1:1-1"]),
        ([("evr", "!=", "0:2-1")], ["1-1", "1:1-1"]),
        ([("epoch", "=", "1")], ["1:1-1"]),
        ([("evr", ">", "1-1"), ("evr", "<", "1:0")], ["2-1"]),
        ([("arch", "=", "noarch")], ["1-1", "2-1", "1:1-1"]),
        ([("arch", "!=", "noarch")], []),
        ([("colour", "=", "red")], []),
        ([("evr", "~", "1-1")], []),
    ],
)
def test_every_condition_of_an_entry_counts(root, conditions, allowed):
    text = ENTRY.format("agen*") + "".join(CONDITION.format(*condition) for condition in conditions)
    write(root, "etc/dnf/versionlock.toml", 'version = "1.0"\n' + text)
    assert [version for version in ("1-1", "2-1", "1:1-1") if allows(root, "agent", version)] == allowed
    assert allows(root, "other", "9-9")


def test_one_of_several_entries_is_enough(root):
    text = "".join(ENTRY.format("agent") + CONDITION.format("evr", "=", version) for version in ("1-1", "2-1"))
    write(root, "etc/dnf/versionlock.toml", text)
    assert [version for version in ("1-1", "2-1", "3-1") if allows(root, "agent", version)] == ["1-1", "2-1"]


def test_without_locks_everything_is_allowed(tmp_path):
    assert allows(tmp_path, "agent", "1-1")
