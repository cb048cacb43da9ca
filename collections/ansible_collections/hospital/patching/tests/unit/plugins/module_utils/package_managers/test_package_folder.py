# SPDX-License-Identifier: GPL-3.0-or-later
"""Package files by name, version and architecture, whatever the package manager."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import (
    DebFolder,
    RpmFolder,
    folder_of,
    sha256_of,
)


def test_names(tmp_path):
    assert folder_of("apt", "/s").path("a", "1:2-3", "all") == "/s/debs/a_1%3a2-3_all.deb"
    for manager in ("dnf", "zypper"):
        assert folder_of(manager, "/s").path("a", "1:2-3", "noarch") == "/s/rpms/a-1%3a2-3.noarch.rpm"


@pytest.mark.parametrize(
    ("kind", "version", "files", "arch", "kept"),
    [
        (RpmFolder, "1-1", ["a-1-1.x86_64.rpm"], "x86_64", "x86_64"),
        (RpmFolder, "1-1", ["a-1-1.noarch.rpm"], "x86_64", "noarch"),
        (RpmFolder, "1-1", ["a-1-1.i686.rpm"], "x86_64", None),
        (RpmFolder, "1-1", ["a-1-1.i686.rpm", "a-1-1.x86_64.rpm"], "noarch", "i686"),
        (RpmFolder, "1-1", ["a-1-1.el9.x86_64.rpm"], "noarch", None),  # another release
        (RpmFolder, "1-1", ["a-1-1.x86_64.rpm.part"], "x86_64", None),
        (DebFolder, "1", ["a_1_all.deb"], "amd64", "all"),
        (DebFolder, "1", [], "amd64", None),
    ],
)
def test_the_architecture_of_what_is_kept(tmp_path, kind, version, files, arch, kept):
    folder = kind(str(tmp_path))
    assert folder.kept_architecture("a", version, arch) is None
    folder.create()
    for name in files:
        (tmp_path / folder.FOLDER / name).write_text("")
    assert folder.kept_architecture("a", version, arch) == kept


def test_a_file_is_what_the_entry_says(tmp_path):
    folder = RpmFolder(str(tmp_path))
    folder.create()
    (tmp_path / "new").write_text("x")
    folder.take(str(tmp_path / "new"), "a", "1-1", "noarch")
    entry = {"name": "a", "arch": "noarch", "to": "1-1", "sha256": sha256_of(folder.path("a", "1-1", "noarch"))}
    folder.check([entry, dict(entry, to=None)])
    with pytest.raises(PatchingError, match=r"a-1-1\.noarch\.rpm: SHA-256 .* stage the host again"):
        folder.check([dict(entry, sha256="0" * 64)])
    with pytest.raises(PatchingError, match="missing; expected the staged file"):
        folder.check([dict(entry, to="2-1")])
