# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository's own files; recorded/rpm_repository was written by createrepo_c and modifyrepo_c."""

import bz2
import gzip
import lzma
import os
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_metadata
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_metadata import Repodata
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded", "rpm_repository")


#: 2026-10-01.
ISSUED = 1790812800


class Zstd:
    """Plays ``zstd --decompress --stdout FROM`` by reading, and keeps what it was asked."""

    def __init__(self):
        self.calls = []

    def stream(self, args):
        self.calls.append(args[0])
        return open(args[-1], "rb")


@pytest.fixture
def repository(tmp_path):
    shutil.copytree(RECORDED, str(tmp_path / "repo"))
    return tmp_path / "repo"


def data(repository, runner=None):
    return Repodata(runner, str(repository), "baseos")


def part(repository, kind):
    return next((repository / "repodata").glob("*-{}.xml.gz".format(kind)))


def test_packages_of_the_names_that_are_asked_for(repository):
    found = sorted(data(repository).offered({"alpha", "beta"}), key=lambda package: package.evr)
    assert [(package.name, package.arch, package.evr) for package in found] == [
        ("alpha", "noarch", "1:1.0-1"),
        ("alpha", "noarch", "1:1.1-1"),
        ("alpha", "noarch", "1:1.1~rc1-1"),
        ("beta", "noarch", "2.0-1"),
        ("beta", "noarch", "2.0^git1-1"),
    ]
    assert (found[4].vendor, found[4].download_bytes, found[4].installed_bytes) == ("Test OS", 6250, 9)
    assert found[4].sha256 == "1808756672b21760b23beca9b960e379ec32feb097915c9752f0035df5b812e6"
    assert (found[4].source_rpm, found[4].built_s) == ("beta-2.0^git1-1.src.rpm", 1790000000)
    assert [package.obsoletes for package in data(repository).offered({"beta", "newname"})] == [[], [], ["oldname"]]


def test_advisories_of_the_names_that_are_asked_for(repository):
    assert [tuple(advice) for advice in data(repository).advised({"alpha", "libalpha"})] == [
        ("libalpha", "noarch", "1.0-2", "TEST-2026:0001", True, ["CVE-2026-1111", "CVE-2026-1112"], ISSUED),
        ("alpha", "noarch", "1:1.1-1", "TEST-2026:0003", True, ["CVE-2026-2222"], ISSUED + 2 * 86400),
    ]
    assert [advice.security for advice in data(repository).advised({"gamma"})] == [False]


@pytest.mark.parametrize(
    ("ending", "compress"), [(".xz", lzma.compress), (".bz2", bz2.compress), (".zst", bytes), ("", bytes)]
)
def test_every_compression_is_read(repository, ending, compress):
    path = part(repository, "updateinfo")
    content = gzip.decompress(path.read_bytes())
    name = path.name[: -len(".gz")] + ending
    (path.parent / name).write_bytes(compress(content))
    index = path.parent / "repomd.xml"
    index.write_text(index.read_text().replace(path.name, name))
    runner = Zstd()
    assert len(list(data(repository, runner).advised({"alpha"}))) == 1
    assert runner.calls == (["zstd"] if ending == ".zst" else [])


@pytest.mark.skipif(shutil.which("zstd") is None, reason="this machine has no zstd")
def test_a_real_zst_is_read_within_the_bound_and_nothing_is_unpacked(repository, monkeypatch):
    path = part(repository, "primary")
    name = path.name[: -len(".gz")] + ".zst"
    content = gzip.decompress(path.read_bytes())
    (path.parent / "plain").write_bytes(content)
    Runner().run(["zstd", "-q", str(path.parent / "plain"), "-o", str(path.parent / name)])
    index = path.parent / "repomd.xml"
    index.write_text(index.read_text().replace(path.name, name))
    before = sorted(os.listdir(str(path.parent)))
    assert len(list(data(repository, Runner()).offered({"alpha"}))) == 3
    next(data(repository, Runner()).offered({"alpha"})).name  # noqa: B018 - the rest is not wanted
    assert sorted(os.listdir(str(path.parent))) == before
    monkeypatch.setattr(rpm_metadata, "MAX_BYTES", len(content) - 1)
    with pytest.raises(PatchingError, match=r"repository baseos: .*more than"):
        list(data(repository, Runner()).offered({"alpha"}))
    (path.parent / name).write_bytes(b"rubbish")
    with pytest.raises(PatchingError, match="repository baseos"):
        list(data(repository, Runner()).offered({"alpha"}))


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("2026-10-01 12:34:56", ISSUED + 45296),
        ("2026-10-01 12:34:56 UTC", ISSUED + 45296),
        ("2026-10-01 12:34", ISSUED + 45240),
        ("2026-10-01", ISSUED),
        (str(ISSUED), ISSUED),  # as SUSE writes it
        ("1" * 30, None),
        ("2026-13-01", None),
        ("soon", None),
        ("", None),
    ],
)
def test_when_an_advisory_was_issued(repository, date, seconds):
    path = part(repository, "updateinfo")
    content = gzip.decompress(path.read_bytes())
    given = b'<issued date="2026-10-03 00:00:00"/>'
    assert given in content
    path.write_bytes(gzip.compress(content.replace(given, '<issued date="{}"/>'.format(date).encode())))
    assert [advice.issued_s for advice in data(repository).advised({"alpha"})] == [seconds]


def test_a_repository_without_advisories_has_none(repository):
    index = repository / "repodata/repomd.xml"
    index.write_text(index.read_text().replace('type="updateinfo"', 'type="other"'))
    assert list(data(repository).advised({"alpha"})) == []


def cut_off(content):
    return content[: len(content) // 2]


def damaged(content):
    middle = len(content) // 2
    return content[:middle] + b"\xff" * 40 + content[middle + 40 :]


def bomb(_content):
    return gzip.compress(b"<metadata>" + b" " * 3000000 + b"</metadata>")


@pytest.mark.parametrize(
    "change",
    [
        cut_off,
        damaged,
        bomb,
        lambda content: b"",
        lambda content: b"junk",
        lambda content: gzip.compress(b"<a><b></a>"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_the_repository(repository, monkeypatch, change):
    monkeypatch.setattr(rpm_metadata, "MAX_BYTES", 2000000)
    path = part(repository, "primary")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(PatchingError, match=r"repository baseos: .*primary.xml.gz cannot be read"):
        list(data(repository).offered({"alpha"}))


@pytest.mark.parametrize(
    "text", ["", "<repomd", "<repomd><data type='primary'><location href='../../x.exe'/></data></repomd>"]
)
def test_a_damaged_index_is_an_error_too(repository, text):
    (repository / "repodata/repomd.xml").write_text(text)
    with pytest.raises(PatchingError, match="repository baseos"):
        list(data(repository).offered({"alpha"}))
