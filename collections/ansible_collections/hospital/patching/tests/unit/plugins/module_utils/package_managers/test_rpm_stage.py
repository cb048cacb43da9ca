# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnf's and zypper's stages share: the room that an update takes, and where the replaced versions come from."""

import contextlib
import os
import pathlib

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, transaction
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_stage import DnfStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import sha256_of
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_metadata import Offered
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_stage import ZypperStage
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

CACHES = {DnfStage: "var/cache/dnf/os-1/packages", ZypperStage: "var/cache/zypp/packages/os/noarch"}


def package(name, epoch=0):
    return RpmPackage(name, epoch, "1.0", "1", "noarch", None, None, 1000, 1)


class Rpm:
    """An rpm that finds every file whole but those that say otherwise; a file's content is its epoch."""

    def run(self, args, **_options):
        with contextlib.suppress(OSError):
            said = pathlib.Path(args[-1]).read_text()
            if "--checksig" in args:
                return Result(args, 1 if said == "damaged" else 0, "", "")
            if "%{EPOCHNUM}" in args:
                return Result(args, 0, said, "")
        return Result(args, 1, "", "no such file")


@pytest.fixture(params=[DnfStage, ZypperStage])
def kind(request):
    return request.param


@pytest.fixture
def make(tmp_path):
    """Return a stage of a kind on a host with these packages, of which none is offered any more."""

    def stage(kind, *packages):
        host = Host(Rpm(), Clock(), str(tmp_path / "root"), str(tmp_path / "state"))
        made = kind(host, StageRequest("R1", "h1", [], None, check=False))
        made.installed = RpmInstalled(packages)
        made.open_folders(str(tmp_path / "stage"), str(tmp_path / "preserved"))
        made.stage.create()
        made.preserved.create()
        made._fetch = lambda _asked: {}
        made._fetched = lambda _folder, _specs: {}
        made.known = type("Known", (), {"offered": {}})

        def repack(name, _arch, _version, path):
            if name == "lost":
                raise PatchingError("lost", "its files are gone", "its files", "nothing")
            pathlib.Path(path).write_text("packed")

        made.repacker.repack = repack
        return made

    return stage


@pytest.fixture
def cache(tmp_path, kind):
    """Put a file into the package manager's cache; its content says what rpm finds in it."""

    def put(name, says):
        folder = tmp_path / "root" / CACHES[kind]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "{}-1.0-1.noarch.rpm".format(name)).write_text(says)

    return put


def todo(*changes):
    """Return a transaction of (name, from, to)."""
    entries = [
        {"name": name, "arch": "noarch", "from": old, "to": new, "sha256": "0" * 64, "size_bytes": 10, "origin": "os"}
        for name, old, new in changes
    ]
    return transaction.build("h1", "dnf", None, [dict(entry, automatic=False) for entry in entries])


def test_what_is_replaced_comes_from_the_cache_or_its_files_or_is_told_as_lost(kind, make, cache):
    stage = make(kind, package("cached", 1), package("packed"), package("lost"), package("stays"))
    cache("cached", "1")
    kept, lost, fetched = stage.preserve(
        todo(("cached", "1:1.0-1", "2-1"), ("packed", "1.0-1", None), ("lost", "1.0-1", "2-1"))
    )
    assert [(one["name"], one["version"]) for one in kept] == [("cached", "1:1.0-1"), ("packed", "1.0-1")]
    assert [one["reason"] for one in lost] == ["its files are gone"]
    assert fetched == 0
    texts = {one["name"]: stage.preserved.path(one["name"], one["version"], one["arch"]) for one in kept}
    assert {name: pathlib.Path(path).read_text() for name, path in texts.items()} == {"cached": "1", "packed": "packed"}
    assert {one["name"]: one["sha256"] for one in kept} == {name: sha256_of(path) for name, path in texts.items()}
    assert len(os.listdir(stage.preserved.files)) == 2, "a part was left"


@pytest.mark.parametrize("says", ["damaged", "1", "no number"])
def test_a_cached_file_that_is_damaged_or_of_another_epoch_is_not_kept(kind, make, cache, says):
    stage = make(kind, package("agent"))
    cache("agent", says)
    wanted = todo(("agent", "1.0-1", "2-1"))
    stage.preserve(wanted)
    assert pathlib.Path(stage.preserved.path("agent", "1.0-1", "noarch")).read_text() == "packed"


def test_what_zypper_is_still_offered_is_fetched_and_anothers_content_is_not_taken(make, tmp_path):
    stage = make(ZypperStage, package("agent"), package("other"))
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("agent of old")
    bad.write_text("something else")

    def offered(sha256):
        return "os", Offered("x", "noarch", "1.0-1", None, 12, None, sha256, None, None, [])

    stage.known.offered = {
        ("agent", "noarch", "1.0-1"): offered(sha256_of(str(good))),
        ("other", "noarch", "1.0-1"): offered("0" * 64),
    }
    assert stage.keeping_bytes([package("agent"), package("gone")]) == (12, 2000)
    asked = []
    stage._fetched = lambda _folder, specs: (
        asked.extend(specs) or {sha256_of(str(each)): str(each) for each in (good, bad)}
    )
    kept, lost, fetched = stage.preserve(todo(("agent", "1.0-1", "2-1"), ("other", "1.0-1", "2-1")))
    assert asked == ["agent.noarch=1.0-1", "other.noarch=1.0-1"]
    assert ([one["name"] for one in kept], lost, fetched) == (["agent", "other"], [], 12)
    assert pathlib.Path(stage.preserved.path("agent", "1.0-1", "noarch")).read_text() == "agent of old"
    assert pathlib.Path(stage.preserved.path("other", "1.0-1", "noarch")).read_text() == "packed"


@pytest.fixture
def room(monkeypatch):
    """Return what a stage asks room for, by path."""

    def needs(stage, *changes):
        monkeypatch.setattr(disk_space, "survey", lambda asked: asked)
        wanted = todo(*changes)
        for entry in wanted["entries"]:
            stage.described[(entry["name"], entry["arch"])] = {"installed_bytes": 3000}
        return stage.plan(wanted)["space"]

    return needs


def test_the_room_is_that_of_downloads_kept_versions_and_growth(kind, make, room, tmp_path):
    needs = room(make(kind, package("agent")), ("agent", "1.0-1", "2-1"), ("words", None, "1-1"))
    assert needs == {str(tmp_path / "state"): 2 * 10 + 2 * 1000, "/": 6000 - 1000 + 3000, "/boot": 0}


def test_a_kernel_grows_by_all_of_itself_because_the_older_one_stays(make, room):
    kernel = {DnfStage: "kernel-core", ZypperStage: "kernel-default"}
    for kind, name in kernel.items():
        needs = room(make(kind, package(name)), (name, "1.0-1", "2-1"))
        assert (needs["/"], needs["/boot"]) == (3000 + 3000, disk_space.KERNEL_BOOT_BYTES)


@pytest.mark.parametrize(
    "name", ["kernel-firmware-amdgpu", "kernel-devel", "kernel-macros", "kernel-source", "kernel-headers"]
)
def test_what_is_called_after_the_kernel_and_boots_nothing_takes_no_room_in_boot(kind, make, room, name):
    assert room(make(kind, package(name)), (name, "1.0-1", "2-1"))["/boot"] == 0
