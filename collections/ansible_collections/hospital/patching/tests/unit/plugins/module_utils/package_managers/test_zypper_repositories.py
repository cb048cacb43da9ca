# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of the repositories' definitions that zypper may write to."""

import errno

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_repositories


@pytest.fixture
def world(tmp_path):
    (tmp_path / "target").mkdir()

    def write(name, text):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def copied():
        zypper_repositories.copy(str(tmp_path / "root"), str(tmp_path / "target"))
        return {path.name: path.read_text() for path in (tmp_path / "target").iterdir()}

    write.copied, write.root = copied, tmp_path / "root"
    return write


def test_definitions_are_copied_and_nothing_else(world):
    world("etc/zypp/repos.d/a.repo", "[a]\n")
    world("etc/zypp/repos.d/a.repo.rpmsave", "[old]\n")
    world("elsewhere/b", "[b]\n")
    (world.root / "etc/zypp/repos.d/b.repo").symlink_to("../../../elsewhere/b")
    (world.root / "etc/zypp/repos.d/gone.repo").symlink_to("missing")
    (world.root / "etc/zypp/repos.d/folder.repo").mkdir()
    assert world.copied() == {"a.repo": "[a]\n", "b.repo": "[b]\n"}


def test_a_host_without_definitions_has_none(world):
    assert world.copied() == {}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"etc/zypp/zypp.conf": "[main]\n# reposdir = /off\n  reposdir = /srv/repos \n"}, "/srv/repos"),
        ({"etc/zypp/zypp.conf": "[main]\n", "usr/etc/zypp/zypp.conf": "reposdir=/b"}, "/b"),
        ({"etc/zypp/zypp.conf": "reposdir=/a", "etc/zypp/zypp.conf.d/x.conf": "reposdir=/c"}, "/c"),
        ({"etc/zypp/zypp.conf": "## reposdir = /etc/zypp/repos.d\nreposdir =\n"}, "/etc/zypp/repos.d"),
    ],
)
def test_where_the_definitions_are(world, settings, expected):
    for name, text in settings.items():
        world(name, text)
    assert zypper_repositories.folder(str(world.root)) == expected
    world(expected.lstrip("/") + "/x.repo", "[x]\n")
    assert world.copied() == {"x.repo": "[x]\n"}


def test_a_definition_that_cannot_be_read_is_named(world, monkeypatch):
    def refused(*_files):
        raise PermissionError(errno.EACCES, "Permission denied")

    world("etc/zypp/repos.d/a.repo", "[a]\n")
    monkeypatch.setattr(zypper_repositories.shutil, "copyfileobj", refused)
    with pytest.raises(PatchingError, match=r"a\.repo: Permission denied"):
        world.copied()
