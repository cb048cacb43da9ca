# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that is carried: what a host needs of it, and what was damaged on the way."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import carried_folder
from ansible_collections.hospital.patching.plugins.plugin_utils.carried_folder import CarriedFolder

PLATFORM = "debian bookworm amd64"
FILES = {"InRelease": b"signed", "Packages": b"index", "viewer 1": b"old", "viewer 2": b"new", "other 2": b"another"}
SUM = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
UPDATE = {"name": "viewer", "arch": "all", "from": "1", "to": "2", "sha256": SUM["viewer 2"]}
REQUEST = {
    "schema": 1,
    "manager": "apt",
    "platform": PLATFORM,
    "foreign": [],
    "made": "2026-11-20T09:00:00Z",
    "repositories": ["http://mirror/"],
    "preferences": "",
    "status": "H4sI",
}


def archive(path: Path, **contents: bytes) -> Path:
    """Write a tar file of contents by name."""
    with tarfile.open(path, "w") as bundle:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    return path


def content(*packages: str) -> dict[str, Any]:
    """Return what a connected host says of what it has fetched."""
    files = []
    for package in packages:
        name, version = package.split()
        size = len(FILES[package])
        files.append({"name": name, "arch": "all", "version": version, "sha256": SUM[package], "size_bytes": size})
    return {
        "platform": PLATFORM,
        "releases": {"http://mirror/InRelease": SUM["InRelease"]},
        "lists": [{"sha256": SUM["Packages"], "size_bytes": len(FILES["Packages"])}],
        "files": files,
        "resolved": {},
    }


@pytest.fixture
def folder(tmp_path: Path) -> CarriedFolder:
    """Return a folder that was filled."""
    folder = CarriedFolder(tmp_path / "carried")
    packed = archive(tmp_path / "files.tar", **{SUM[name]: data for name, data in FILES.items()})
    folder.fill(packed, content("viewer 1", "viewer 2", "other 2"), "2026-11-20T10:00:00Z")
    return folder


def test_a_host_gets_the_indexes_its_updates_and_what_they_replace(folder: CarriedFolder) -> None:
    needed = folder.needed(PLATFORM, [UPDATE])
    assert set(needed) == {SUM[name] for name in ("InRelease", "Packages", "viewer 1", "viewer 2")}
    assert needed[SUM["viewer 2"]] == len(FILES["viewer 2"])
    assert set(folder.needed(PLATFORM, [])) == {SUM["InRelease"], SUM["Packages"]}
    removal = {**UPDATE, "from": "2", "to": None, "sha256": None}
    assert SUM["viewer 2"] in folder.needed(PLATFORM, [removal]), "what is removed has a way back too"


def test_declared_software_is_not_asked_of_the_folder(folder: CarriedFolder) -> None:
    pacs = {**UPDATE, "name": "pacs", "to": "7", "sha256": "ab" * 32, "installer": "archive"}
    assert folder.needed(PLATFORM, [UPDATE, pacs]) == folder.needed(PLATFORM, [UPDATE])
    # A package of the same name and version is another thing.
    assert folder.needed(PLATFORM, [{**UPDATE, "installer": "deb"}]) == folder.needed(PLATFORM, [])


def test_filling_again_forgets_what_nobody_needs_and_changes_nothing_otherwise(
    folder: CarriedFolder, tmp_path: Path
) -> None:
    before = folder.digest()
    empty = archive(tmp_path / "empty.tar")
    folder.fill(empty, content("viewer 1", "viewer 2", "other 2"), "2026-12-20T10:00:00Z")
    assert folder.digest() == before
    folder.fill(empty, content("viewer 2"), "2026-12-20T10:00:00Z")
    assert set(folder.have()) == {SUM[name] for name in ("InRelease", "Packages", "viewer 2")}
    with pytest.raises(PatchingError, match=f"{SUM['other 2']}: missing"):
        folder.fill(empty, content("other 2"), "2026-12-20T10:00:00Z")


@pytest.mark.parametrize("damage", [b"neu", None])
def test_a_changed_or_missing_file_is_named_before_anything_is_copied(
    folder: CarriedFolder, tmp_path: Path, damage: bytes | None
) -> None:
    path = folder.path / "files" / SUM["viewer 2"]
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(PatchingError) as refused:
        folder.bundle([SUM["viewer 1"], SUM["viewer 2"]], tmp_path / "copy.tar")
    assert str(path) in str(refused.value)
    assert "viewer:all 2" in str(refused.value)
    folder.bundle([SUM["viewer 1"]], tmp_path / "copy.tar")


def test_what_the_folder_cannot_give_is_refused(folder: CarriedFolder, tmp_path: Path) -> None:
    with pytest.raises(PatchingError, match=r"viewer:all 3: not in the carried folder .*; expected a file with SHA"):
        folder.needed(PLATFORM, [{**UPDATE, "to": "3", "sha256": "ab" * 32}])
    with pytest.raises(PatchingError, match=f"it holds {PLATFORM}; expected packages for debian trixie amd64"):
        folder.needed("debian trixie amd64", [])
    with pytest.raises(PatchingError, match="missing; expected the index of a carried folder"):
        CarriedFolder(tmp_path / "elsewhere").index()


def test_an_index_that_was_changed_is_refused(folder: CarriedFolder) -> None:
    path = folder.path / "index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    index["platforms"][PLATFORM]["files"][0]["size_bytes"] += 1
    path.write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(PatchingError, match="changed since it was written"):
        folder.index()
    path.write_text("{", encoding="utf-8")
    with pytest.raises(PatchingError, match="expected a JSON document"):
        folder.index()


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", SUM["viewer 1"]])
def test_a_copy_with_other_names_or_contents_is_not_taken_in(tmp_path: Path, name: str) -> None:
    folder = CarriedFolder(tmp_path / "carried")
    with pytest.raises(PatchingError):
        folder.fill(archive(tmp_path / "files.tar", **{name: b"harm"}), content(), "2026-11-20T10:00:00Z")
    assert folder.have() == []


ALL = ("viewer 1", "viewer 2", "other 2")


def test_a_damaged_file_is_fetched_again(folder: CarriedFolder, tmp_path: Path) -> None:
    path = folder.path / "files" / SUM["viewer 2"]
    path.write_bytes(b"neu")
    assert SUM["viewer 2"] not in folder.have()
    assert len(folder.have()) == len(FILES) - 1
    again = archive(tmp_path / "again.tar", **{SUM["viewer 2"]: FILES["viewer 2"]})
    folder.fill(again, content(*ALL), "2026-12-20T10:00:00Z")
    assert folder.have() == folder.names() == sorted(SUM.values())
    folder.bundle([SUM["viewer 2"]], tmp_path / "copy.tar")


def test_a_damaged_index_is_made_anew_and_no_file_is_lost(folder: CarriedFolder, tmp_path: Path) -> None:
    (folder.path / "index.json").write_text("{", encoding="utf-8")
    assert folder.digest() == ""
    folder.fill(archive(tmp_path / "empty.tar"), content("viewer 2"), "2026-12-20T10:00:00Z")
    assert list(folder.index()["platforms"]) == [PLATFORM]
    assert folder.have() == sorted(SUM.values())


def test_what_a_killed_run_left_half_written_takes_no_room(folder: CarriedFolder, tmp_path: Path) -> None:
    part = folder.path / "files" / f"{'ab' * 32}.part"
    part.write_bytes(b"half")
    folder.fill(archive(tmp_path / "empty.tar"), content(*ALL), "2026-12-20T10:00:00Z")
    assert not part.exists()


def test_files_are_on_the_medium_before_they_have_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(
        carried_folder.os, "fsync", lambda handle: synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
    )
    folder = CarriedFolder(tmp_path / "carried")
    packed = archive(tmp_path / "files.tar", **{SUM[name]: data for name, data in FILES.items()})
    folder.fill(packed, content(*ALL), "2026-11-20T10:00:00Z")
    files = folder.path / "files"
    assert {f"{files / SUM[name]}.part" for name in FILES} | {str(files), str(folder.path)} <= set(synced)


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_medium_that_cannot_be_written_is_told(
    folder: CarriedFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    def full(_handle: int) -> None:
        raise OSError(why, os.strerror(why))

    packed = archive(tmp_path / "again.tar", **{SUM["viewer 2"]: FILES["viewer 2"]})
    monkeypatch.setattr(carried_folder.os, "fsync", full)
    with pytest.raises(PatchingError, match=f"{os.strerror(why)}; expected a file system .* with room"):
        folder.fill(packed, content(*ALL), "2026-12-20T10:00:00Z")
    assert list((folder.path / "files").glob("*.part")) == []
    with pytest.raises(PatchingError, match=rf"portal1\.json: {os.strerror(why)}"):
        folder.save_request("portal1", REQUEST)
    with pytest.raises(PatchingError, match=r"missing/copy\.tar: No such file"):
        folder.bundle([SUM["viewer 2"]], tmp_path / "missing/copy.tar")


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    folder = CarriedFolder(tmp_path)
    with pytest.raises(PatchingError, match="no request; expected a request of each offline host"):
        folder.requests()
    folder.save_request("portal1", REQUEST)
    assert folder.requests() == {"portal1": REQUEST}
    (tmp_path / "requests/portal2.json").write_text(json.dumps({**REQUEST, "status": 1}), encoding="utf-8")
    with pytest.raises(PatchingError, match=r"portal2\.json at status"):
        folder.requests()
