# SPDX-License-Identifier: GPL-3.0-or-later
"""Old kernels: neither the running one, nor the newest two, nor what somebody holds."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import Package
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.deb_old_kernels import removable


def host(*names, held=()):
    return {
        (name, "amd64"): Package(name, "amd64", "1", "hold" if name in held else "install", "installed", name, "1", 0)
        for name in names
    }


FOUR = tuple("linux-image-6.1.0-{}-amd64".format(number) for number in (9, 10, 18, 22))


@pytest.mark.parametrize(
    ("installed", "running", "expected"),
    [
        (host(*FOUR), "6.1.0-22-amd64", list(FOUR[:2])),  # by version, not as text: 9 is before 10
        (host(*FOUR), "6.1.0-9-amd64", [FOUR[1]]),
        (host(*FOUR, held=[FOUR[0]]), "6.1.0-22-amd64", [FOUR[1]]),
        (host(*FOUR[2:], "linux-image-amd64"), "6.1.0-22-amd64", []),
        (host(*FOUR), "6.12.3-built-here", []),
        (
            host("linux-image-unsigned-5.15.0-1-generic", *("linux-image-5.15.0-{}-generic".format(n) for n in (2, 3))),
            "5.15.0-3-generic",
            ["linux-image-unsigned-5.15.0-1-generic"],
        ),
    ],
)
def test_only_what_nothing_boots_any_more(installed, running, expected):
    assert removable(installed, running) == expected
