# SPDX-License-Identifier: GPL-3.0-or-later
"""All subjects together: each can fail alone, and few processes are started."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import registry
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import MOST_BYTES, entry

EFFECTS = {"changes_packages", "holds_back", "refuses_patching", "restarts", "informs", "unknown"}


def test_a_bare_host_has_none_and_starts_nothing(world):
    assert registry.collect(world.host) == []
    assert world.calls == []


def test_two_processes_at_most(world, recorded):
    world.boot_systemd()
    world.with_apt(recorded("apt_config_dump.txt"))
    assert registry.collect(world.host)
    assert sorted(world.calls) == ["apt-config", "systemctl"]


@pytest.mark.parametrize(
    "error", [OSError("no"), ValueError("no"), KeyError("no"), TypeError("no"), PatchingError("x", "no", "yes", "do")]
)
def test_one_that_fails_is_an_entry_and_leaves_the_others(world, error):
    def fail(_look):
        raise error

    found = registry.collect(world.host, (("a", fail), ("b", lambda _look: [entry("b", "b", "fine", "informs")])))
    assert [(item["kind"], item["effect"]) for item in found] == [("a", "unknown"), ("b", "informs")]
    assert "no" in found[0]["detail"]


def test_a_broken_systemctl_leaves_what_files_tell(world):
    world.boot_systemd()
    world.broken = {"systemctl"}
    world.write("run/ostree-booted")
    found = {item["kind"]: item["effect"] for item in registry.collect(world.host)}
    assert found["image"] == "refuses_patching"
    assert found["agent"] == found["cluster"] == found["container_engine"] == "unknown"


DAMAGED = [
    ("etc/dnf/dnf.conf", "no section\n", "dnf_exclude"),
    ("etc/dnf/automatic.conf", "[commands\nx", "dnf_automatic"),
    ("etc/docker/daemon.json", "{", "container_engine"),
    ("var/lib/ubuntu-advantage/status.json", "[]", "ubuntu_pro"),
    ("var/lib/ubuntu-advantage/status.json", '{"attached": true, "services": 1}', "ubuntu_pro"),
    ("etc/pki/entitlement/1.pem", "rubbish", "subscription"),
    ("etc/apt/preferences", "Package: a\n", "apt_pin"),
    ("etc/zypp/locks", "type: package\n", "zypper_lock"),
    ("etc/environment", b"x" * (MOST_BYTES + 1), "proxy"),
    ("var/lib/ubuntu-advantage/status.json", "[" * 100000, "ubuntu_pro"),
]


@pytest.mark.parametrize(("path", "content", "kind"), DAMAGED)
def test_damage_is_told_as_unknown(world, path, content, kind):
    world.write("usr/bin/dockerd")
    world.write(path, content)
    found = registry.collect(world.host)
    assert ("docker", "restarts") in [(item["name"], item["effect"]) for item in found]
    assert kind in [item["kind"] for item in found if item["effect"] == "unknown"]


def test_a_file_that_cannot_be_read_is_told(world):
    (world.root / "etc/environment").mkdir(parents=True)
    found = registry.collect(world.host)
    assert [(item["kind"], item["effect"]) for item in found] == [("proxy", "unknown")]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\n" * 1000, b"=\n[\n:"])
def test_any_bytes_in_any_file_are_survived(world, content):
    for path in {path for path, _content, _kind in DAMAGED} | {
        "etc/dnf/plugins/versionlock.list",
        "etc/yum.repos.d/a.repo",
        "etc/my.cnf",
        "proc/self/mounts",
        "etc/os-release",
        "sys/kernel/livepatch/x/enabled",
    }:
        world.write(path, content)
    for item in registry.collect(world.host):
        assert item["effect"] in EFFECTS
        assert all(isinstance(value, str) for value in item.values())


def test_names_of_tables_are_unique_and_their_effects_known():
    for table in (registry.agents.AGENTS, registry.clusters.CLUSTERS, registry.container_engines.ENGINES):
        assert len({program.name for program in table}) == len(table)
        assert {program.effect for program in table} <= EFFECTS
        assert not [name for program in table for name in program.files if name.startswith("/")]
        assert all(program.units or program.files for program in table)
