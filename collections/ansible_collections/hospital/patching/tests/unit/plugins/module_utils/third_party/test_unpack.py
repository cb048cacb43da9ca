# SPDX-License-Identifier: GPL-3.0-or-later

import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.third_party.unpack import unpack, unpacked_bytes


def special(kind, linkname=""):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, linkname
    return info


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_files_links_and_modes_as_an_archive_of_root_has_them(make_archive, folder):
    path, _sum = make_archive(
        ("jre/bin/java", "x"),
        ("jre/lib/a", "y"),
        ("jre/lib/hard", special(tarfile.LNKTYPE, "jre/lib/a")),
        ("jre/bin/link", special(tarfile.SYMTYPE, "../lib/a")),
    )
    unpack(path, str(folder), 1)
    assert (folder / "bin/link").read_text() == "y"
    assert (folder / "lib/hard").read_text() == "y"
    found = (folder / "bin/java").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o755, os.getuid()), "set-user-id or writable by others"
    assert unpacked_bytes(path) == 2


@pytest.mark.parametrize(
    ("member", "content", "said"),
    [
        ("../outside", "x", "leads out of it"),
        ("/etc/outside", "x", "leads out of it"),
        ("a/../../outside", "x", "leads out of it"),
        ("link", special(tarfile.SYMTYPE, "/etc"), "leads out of it"),
        ("a/link", special(tarfile.SYMTYPE, "../../outside"), "leads out of it"),
        ("device", special(tarfile.CHRTYPE), "special file"),
        ("pipe", special(tarfile.FIFOTYPE), "special file"),
    ],
)
def test_what_could_write_elsewhere_is_refused(make_archive, folder, member, content, said):
    path, _sum = make_archive((member, content))
    with pytest.raises(PatchingError, match=said):
        unpack(path, str(folder))
    assert sorted(folder.rglob("*")) == []


@pytest.mark.parametrize(
    "chain",
    [
        [("a/b", ".."), ("a/b/c", "../../outside")],
        [("a/b", ".."), ("c", "a/b/../outside")],
        [("a/b", ".."), ("c", "a/b/../outside"), ("c/d", "x")],
    ],
)
def test_nothing_leads_out_through_a_link_of_the_archive(make_archive, folder, tmp_path, chain):
    (tmp_path / "outside").mkdir()
    path, _sum = make_archive(*[(name, special(tarfile.SYMTYPE, to)) for name, to in chain])
    with pytest.raises(PatchingError, match="leads out of it"):
        unpack(path, str(folder))
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_zip_file_has_the_same_rules(tmp_path, folder):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("app/run", "x")
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../outside", "x")
    unpack(str(good), str(folder), 1)
    assert (folder / "run").read_text() == "x"
    with pytest.raises(PatchingError, match="leads out of it"):
        unpack(str(bad), str(folder))


def test_an_archive_that_was_cut_off_is_named(make_archive, folder, tmp_path):
    path, _sum = make_archive(("a", "x" * 5000))
    short = tmp_path / "short.tar.gz"
    short.write_bytes(Path(path).read_bytes()[:60])
    with pytest.raises(PatchingError, match=r"archive short\.tar\.gz"):
        unpack(str(short), str(folder))


def test_what_cannot_be_unpacked_is_told(make_archive, folder, tmp_path):
    nowhere, _sum = make_archive(("hard", special(tarfile.LNKTYPE, "jre/lib/a")))
    with zipfile.ZipFile(str(tmp_path / "it.zip"), "w") as archive:
        archive.writestr("a", "x")
    content = bytearray((tmp_path / "it.zip").read_bytes())
    for signature, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):  # the way of packing, which nobody knows
        content[content.index(signature) + place] = 99
    (tmp_path / "unknown.zip").write_bytes(content)
    for path in (nowhere, str(tmp_path / "unknown.zip")):
        with pytest.raises(PatchingError, match="cannot be unpacked"):
            unpack(path, str(folder))
