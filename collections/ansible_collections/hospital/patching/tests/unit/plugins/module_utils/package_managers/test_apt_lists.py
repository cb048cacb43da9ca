# SPDX-License-Identifier: GPL-3.0-or-later
"""Which repository offers an installed version."""

import bz2
import gzip
import lzma
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_lists
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result, Runner

SIGNED = """-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: Debian
Label: {}
Suite: {}
Version: 12{}
Codename: bookworm
SHA256:
 0000 1 main/binary-amd64/Packages
"""
MAIN = "deb.debian.org_debian_dists_bookworm_main_binary-amd64_Packages"
SECURITY = "deb.debian.org_debian-security_dists_bookworm-security_main_binary-amd64_Packages"
VENDOR = "repo.vendor.example_x_._Packages"
KEY = ("openssl", "amd64", "3.0.20-1~deb12u2")
OPENSSL = "Package: openssl\nSource: x\nVersion: 3.0.20-1~deb12u2\nArchitecture: amd64\nDescription: t\n Version: 9\n"
OTHER = "Package: openssl-other\nVersion: 3.0.20-1~deb12u2\nArchitecture: amd64\n"


@pytest.fixture
def lists(tmp_path):
    directory = tmp_path / "var/lib/apt/lists"
    directory.mkdir(parents=True)
    (directory / "deb.debian.org_debian_dists_bookworm_InRelease").write_text(
        SIGNED.format("Debian", "oldstable", ".15")
    )
    (directory / "deb.debian.org_debian_dists_bookworm-updates_InRelease").write_text(SIGNED.format("U", "u", ""))
    (directory / "deb.debian.org_debian-security_dists_bookworm-security_InRelease").write_text(
        SIGNED.format("Debian-Security", "oldstable-security", "")
    )
    return directory


def ask(lists, *keys, **others):
    root = lists.parent.parent.parent.parent
    return apt_lists.origins(Host(others.get("runner"), Clock(), str(root), ""), set(keys or [KEY]))


def test_an_origin_in_the_words_of_pending_updates(lists):
    (lists / MAIN).write_text(OTHER + "\n" + OPENSSL)
    assert ask(lists) == ({KEY: "Debian:12.15/oldstable"}, [])


def test_a_security_archive_is_named_first(lists):
    for name in (MAIN, SECURITY):
        (lists / name).write_text(OPENSSL)
    assert ask(lists)[0] == {KEY: "Debian-Security:12/oldstable-security"}


def test_only_this_package_and_architecture(lists):
    (lists / MAIN).write_text(OPENSSL)
    assert ask(lists, ("openssl", "i386", KEY[2]), ("other", "amd64", KEY[2])) == ({}, [])


def test_a_version_that_nobody_offers_any_more_comes_from_where_newer_ones_do(lists):
    (lists / MAIN).write_text(OPENSSL)
    old = ("openssl", "amd64", "3.0.20-1~deb12u1")
    assert ask(lists, old) == ({old: "Debian:12.15/oldstable"}, [])


def test_a_repository_without_release_is_named_after_its_address(lists):
    (lists / VENDOR).write_text(OPENSSL)
    assert ask(lists)[0] == {KEY: "repo.vendor.example:/"}


def test_a_flat_repository(lists):
    (lists / VENDOR.replace("Packages", "Release")).write_text("Label: Vendor\nCodename: flat\n")
    (lists / VENDOR.replace("Packages", "Release.gpg")).write_text("")
    (lists / VENDOR).write_text(OPENSSL)
    assert ask(lists)[0] == {KEY: "Vendor:/flat"}


def test_fields_in_any_order(lists):
    (lists / MAIN).write_text(OTHER + "\nArchitecture: amd64\nVersion: 3.0.20-1~deb12u2\nPackage: openssl\n\n" + OTHER)
    assert KEY in ask(lists)[0]


@pytest.mark.parametrize(
    ("ending", "opener"), [(".gz", gzip.open), (".xz", lzma.open), (".bz2", bz2.open), (".lzma", lzma.open)]
)
def test_compressed_lists(lists, ending, opener):
    with opener(str(lists / (MAIN + ending)), "wb") as handle:
        handle.write((OTHER + "\n" + OPENSSL).encode())
    assert KEY in ask(lists)[0]


class Helper:
    """A runner whose apt-helper gives this text, as awk leaves it."""

    def __init__(self, text, rc=0):
        self.text = text
        self.rc = rc

    def run(self, args, timeout_s, text_in, check):
        assert args[:2] == ["sh", "-c"]
        assert "openssl" in text_in.split("\n")
        assert args[-1].endswith(".lz4")
        return Result(args, self.rc, self.text, "")


def test_what_only_apt_can_unpack(lists):
    (lists / (MAIN + ".lz4")).write_bytes(b"\x04\x22\x4d\x18")
    assert KEY in ask(lists, runner=Helper("\n".join(OPENSSL.split("\n")[:4]) + "\n\n"))[0]


@pytest.mark.parametrize(("text", "rc"), [("", 2), ("Package: openssl\n\nUnreadable: yes\n\n", 0)])
def test_what_apt_cannot_unpack_is_told(lists, text, rc):
    (lists / (MAIN + ".lz4")).write_bytes(b"")
    found, problems = ask(lists, runner=Helper(text, rc))
    assert found == {}
    assert problems == [MAIN + ".lz4: apt-helper cannot read it"]


@pytest.mark.skipif(not os.path.exists("/usr/lib/apt/apt-helper"), reason="this machine has no apt-helper")
def test_the_real_apt_helper(lists):
    (lists / (MAIN + ".lz4")).write_bytes(_lz4_frame((OTHER + "\n" + OPENSSL).encode()))
    assert KEY in ask(lists, runner=Runner())[0]
    (lists / (MAIN + ".lz4")).write_bytes(b"rubbish")
    assert len(ask(lists, runner=Runner())[1]) == 1


@pytest.mark.skipif(not os.path.exists("/usr/lib/apt/apt-helper"), reason="this machine has no apt-helper")
def test_the_real_apt_helper_and_more_names_than_the_environment_holds(lists):
    keys = [("package-with-a-long-name-{}".format(number), "amd64", "1") for number in range(20000)]
    text = "".join("Package: {}\nVersion: {}\nArchitecture: {}\n\n".format(key[0], key[2], key[1]) for key in keys)
    (lists / (MAIN + ".lz4")).write_bytes(_lz4_frame((text + OTHER + "\n" + OPENSSL).encode()))
    found, problems = ask(lists, KEY, *keys, runner=Runner())
    assert (sorted(found), problems) == (sorted([KEY, *keys]), [])


def _lz4_frame(data):
    """Return a frame of blocks stored as they are (LZ4 Frame Format 1.6.4): the standard library cannot pack it."""
    header_and_check = b"\x60\x40\x82"
    parts = [data[start : start + 65536] for start in range(0, len(data), 65536)]
    blocks = b"".join((len(part) | 0x80000000).to_bytes(4, "little") + part for part in parts)
    return b"\x04\x22\x4d\x18" + header_and_check + blocks + bytes(4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (MAIN + ".gz", b"rubbish"),
        (MAIN + ".xz", b"rubbish"),
        (MAIN + ".gz", gzip.compress(OPENSSL.encode() * 100)[:-20]),
        (MAIN, b"x" * 5000),
    ],
)
def test_a_damaged_list_is_told_and_the_others_count(lists, monkeypatch, name, content):
    monkeypatch.setattr(apt_lists, "_PARAGRAPH_BYTES", 4000)
    (lists / name).write_bytes(content)
    (lists / SECURITY).write_text(OPENSSL)
    found, problems = ask(lists)
    assert found == {KEY: "Debian-Security:12/oldstable-security"}
    assert len(problems) == 1
    assert problems[0].startswith(name)


def test_a_list_without_end_is_given_up(lists, monkeypatch):
    monkeypatch.setattr(apt_lists, "_LIST_BYTES", 1000)
    (lists / MAIN).write_text(("Package: a\nVersion: 1\n\n" * 100) + OPENSSL)
    assert len(ask(lists)[1]) == 1


def test_broken_encodings_and_empty_files(lists):
    (lists / MAIN).write_bytes(b"Package: \xff\xfe\nVersion: \xff\nArchitecture: \xff\n\n" + OPENSSL.encode())
    (lists / VENDOR).write_bytes(b"")
    assert ask(lists, KEY, ("\ufffd", "\ufffd", "\ufffd"))[0] == {KEY: "Debian:12.15/oldstable"}


def test_a_host_without_lists(tmp_path):
    assert apt_lists.origins(Host(None, Clock(), str(tmp_path), ""), {KEY}) == ({}, [])


@given(st.integers(1, 200), st.lists(st.sampled_from([OTHER, OPENSSL, "Package: z\nVersion: 1\n", "\n"]), max_size=6))
def test_where_a_read_ends_does_not_matter(size, paragraphs):
    class Pieces:
        def __init__(self, data):
            self.data = data

        def read(self, _size):
            piece, self.data = self.data[:size], self.data[size:]
            return piece

    text = "\n".join(paragraphs).encode()
    found = [key for part in apt_lists._parts(Pieces(text)) for key in apt_lists._scan(part, {b"openssl"})]
    assert found == [KEY] * paragraphs.count(OPENSSL)
