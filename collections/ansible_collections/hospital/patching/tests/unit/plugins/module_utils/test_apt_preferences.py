# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins, as apt_preferences(5) describes them."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.apt_preferences import (
    describe,
    names_package,
    parse,
    read,
)

TEXT = """# Validated by the vendor
Explanation: viewer is validated with 1.0
Package: viewer viewer-data
Pin: version 1.0*
Pin-Priority: 990
\t
Package: /^Tool/ src:nothing
Pin: release a=stable-backports,
 n=night
Pin-Priority: -1
"""


def test_stanzas():
    pins, problems = parse("/etc/apt/preferences", TEXT)
    assert problems == []
    assert [(pin.packages, pin.pin, pin.priority) for pin in pins] == [
        (["viewer", "viewer-data"], "version 1.0*", 990),
        (["/^Tool/", "src:nothing"], "release a=stable-backports, n=night", -1),
    ]
    assert describe(pins[0]) == (
        "Package: viewer viewer-data, Pin: version 1.0*, Pin-Priority: 990 (/etc/apt/preferences)"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Package: a\nPin: version 1\nPin-Priority: high\n", "stanza 1 has no readable Pin-Priority"),
        ("Package: a\nPin-Priority: 1\n", "stanza 1 has no Package or no Pin"),
        ("\xff\xfe:\n", "stanza 1 has no readable Pin-Priority"),
    ],
)
def test_damage_is_told(text, problem):
    pins, problems = parse("p", text)
    assert pins == []
    assert problems == ["p: " + problem]


@pytest.mark.parametrize(
    ("pattern", "name", "about"),
    [
        ("viewer", "viewer", True),
        ("viewer", "viewer2", False),
        ("view*", "viewer2", True),
        ("viewer:any", "viewer", True),
        ("/^Tool/", "toolbox", True),
        ("/[/", "[", False),
        ("src:viewer", "viewer", False),
        ("*", "anything", True),
    ],
)
def test_packages(pattern, name, about):
    (pin,), _problems = parse("p", "Package: {}\nPin: version 1\nPin-Priority: 1\n".format(pattern))
    assert names_package(pin, name) is about


def test_files_are_read_in_the_order_of_apt(tmp_path):
    directory = tmp_path / "etc/apt/preferences.d"
    directory.mkdir(parents=True)
    (tmp_path / "etc/apt/preferences").write_text(TEXT)
    stanza = "Package: {}\nPin: version 1\nPin-Priority: 1\n"
    for name in ("b.pref", "a", "c.bak", "d~"):
        (directory / name).write_text(stanza.format(name))
    pins, problems = read(str(tmp_path))
    assert problems == []
    assert [pin.path for pin in pins] == ["/etc/apt/preferences"] * 2 + [
        "/etc/apt/preferences.d/a",
        "/etc/apt/preferences.d/b.pref",
    ]


def test_no_preferences(tmp_path):
    assert read(str(tmp_path)) == ([], [])
