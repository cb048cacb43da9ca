# SPDX-License-Identifier: GPL-3.0-or-later
"""How the lab reads what a machine offers, in both of apt's formats and with every kind of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from hospital_lab.engine import Engine
from hospital_lab.errors import LabError
from hospital_lab.machine import (
    Mirror,
    Source,
    apt_sources,
    choose_mirror,
    deb822_sources,
    has_unified_cgroups,
    may_raise_limits,
    one_line_sources,
)
from hospital_lab.places import Places

DEB822 = """\
Types: deb
# a comment inside a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
 contrib

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main contrib # ours
deb-src http://mirror.example/debian/ bookworm main
deb cdrom:[Debian]/ bookworm main
deb https://packages.example/apt stable main
"""


def engine_failing(folder: Path, times: int) -> Engine:
    """An engine whose podman fails so often before it answers, as while another process removes what it lists."""
    places = Places(folder)
    places.engine.write_text(
        f"#!/bin/sh\necho >> {folder}/asked\n[ $(wc -l < {folder}/asked) -gt {times} ] && echo listed && exit 0\n"
        "echo image not known >&2\nexit 125\n"
    )
    places.engine.chmod(0o755)
    return Engine(places)


def test_a_listing_that_fails_once_is_asked_for_again(tmp_path):
    assert engine_failing(tmp_path, 1).read("images") == "listed\n"


def test_a_listing_that_always_fails_is_an_error(tmp_path):
    with pytest.raises(LabError, match="image not known"):
        engine_failing(tmp_path, 9).read("images")


def test_the_stanza_format():
    assert deb822_sources(DEB822) == [
        Source("http://mirror.example/debian", "bookworm", ("main",)),
        Source("http://mirror.example/debian", "bookworm-updates", ("main",)),
        Source("http://mirror.example/debian-security", "bookworm-security", ("main", "contrib")),
    ]


def test_the_one_line_format():
    assert one_line_sources(ONE_LINE)[0] == Source("http://mirror.example/debian/", "bookworm", ("main", "contrib"))
    assert not any("old.example" in source.uri for source in one_line_sources(ONE_LINE))


def test_both_formats_in_their_files(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/other.list.disabled").write_text("deb http://disabled.example/debian bookworm main\n")

    assert not any("disabled" in source.uri for source in apt_sources(tmp_path))
    assert choose_mirror(apt_sources(tmp_path), "bookworm") == Mirror(
        "http://mirror.example/debian", "http://mirror.example/debian-security"
    )


def test_a_security_archive_that_is_not_named_lies_beside_the_mirror():
    sources = [Source("http://mirror.example/debian/", "bookworm", ("main",))]
    assert choose_mirror(sources, "bookworm").security == "http://mirror.example/debian-security"


@pytest.mark.parametrize(
    "source",
    [
        Source("https://packages.example/apt", "stable", ("main",)),  # a third party
        Source("http://mirror.example/debian", "bookworm", ("contrib",)),
        Source("http://mirror.example/debian", "trixie", ("main",)),
        Source("file:/srv/mirror", "bookworm", ("main",)),
    ],
)
def test_a_machine_without_a_mirror_of_its_release_is_told_so(source):
    with pytest.raises(LabError, match="add your Debian mirror"):
        choose_mirror([source], "bookworm")


def test_control_groups(tmp_path):
    assert not has_unified_cgroups(tmp_path)  # version 1 and hybrid
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert has_unified_cgroups(tmp_path)


@pytest.mark.parametrize(("capabilities", "expected"), [("000001fffeffffff", False), ("000001ffffffffff", True)])
def test_the_capability_to_raise_limits(tmp_path, capabilities, expected):
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython3\nCapEff:\t{capabilities}\n")
    assert may_raise_limits(status) is expected
