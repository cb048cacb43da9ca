# SPDX-License-Identifier: GPL-3.0-or-later
"""Providers that make nothing: preserved packages, and none with a reason."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping, registry

RUN, EXPIRES = "20261122T034500Z-ab12cd34", "2026-11-25T00:00:00Z"
TRANSACTION = transaction.build(
    "db1",
    "apt",
    None,
    [
        {"name": "perl-base", "arch": "amd64", "from": "5.36.0-7", "to": "5.36.0-7+deb12u2"},
        {"name": "vim", "arch": "amd64", "from": "2:9.0.1378-2", "to": None},
        {"name": "libnew", "arch": "all", "from": None, "to": "1"},
    ],
)


def make(name, options=None):
    return registry.create_provider(name, options, Runner(), Clock())


def preserved(folder, *names):
    (folder / "debs").mkdir()
    for name in names:
        (folder / "debs" / name).write_text("package")
    return make("preserved", {"preserved_dir": str(folder), "transaction": TRANSACTION})


def test_preserved_packages_are_a_restore_point(tmp_path):
    provider = preserved(tmp_path, "perl-base_5.36.0-7_amd64.deb", "vim_2%3a9.0.1378-2_amd64.deb")
    kept = keeping.present(provider, RUN, "db1", "monthly", EXPIRES)
    assert kept.changed is False
    assert kept.snapshot.id == "preserved:" + TRANSACTION["digest"]
    assert kept.snapshot.detail["packages"] == 2


def test_a_package_that_changes_its_architecture_is_preserved_under_the_old_one(tmp_path):
    provider = preserved(tmp_path, "perl-base_5.36.0-7_all.deb", "vim_2%3a9.0.1378-2_amd64.deb")
    assert provider.available("db1") is None
    (tmp_path / "debs" / "vim_2%3a9.0.1378-2_amd64.deb").rename(tmp_path / "debs" / "vim_2%3a9.0.1378-2_i386.deb")
    assert "vim" in provider.available("db1")


def test_a_package_that_was_not_preserved_is_refused(tmp_path):
    provider = preserved(tmp_path, "perl-base_5.36.0-7_amd64.deb")
    for write in (True, False):
        with pytest.raises(PatchingError, match=r"not preserved in .*: vim 2:9\.0\.1378-2"):
            keeping.present(provider, RUN, "db1", "monthly", EXPIRES, write)


def test_a_folder_that_is_gone_is_refused(tmp_path):
    options = {"preserved_dir": str(tmp_path / "gone"), "transaction": TRANSACTION}
    with pytest.raises(PatchingError, match="perl-base"):
        keeping.present(make("preserved", options), RUN, "db1", "monthly", EXPIRES)


def test_without_a_folder_it_is_where_stage_preserves():
    with pytest.raises(
        PatchingError, match="/var/lib/hospital-patching/preserved/" + transaction.short_name(TRANSACTION)
    ):
        keeping.present(make("preserved", {"transaction": TRANSACTION}), RUN, "db1", "monthly", EXPIRES)


def test_an_edited_transaction_is_refused():
    with pytest.raises(PatchingError, match="digest"):
        make("preserved", {"transaction": dict(TRANSACTION, host="db2")})


def test_preserved_cannot_revert_a_host(tmp_path):
    with pytest.raises(PatchingError, match="update_rollback"):
        preserved(tmp_path).revert("preserved:x", "db1")


def test_none_needs_a_reason():
    kept = keeping.present(make("none"), RUN, "ws1", "reinstalled from its image within the hour", EXPIRES)
    assert (kept.changed, kept.snapshot.id) == (False, "none")
    for reason in ("", "  "):
        with pytest.raises(PatchingError, match="without a reason"):
            keeping.present(make("none"), RUN, "ws1", reason, EXPIRES)


def test_nothing_is_kept_by_those_that_make_nothing():
    assert make("none").list() == []
    assert keeping.absent(make("none"), RUN, "none") == (False, None)


def test_an_unknown_provider_is_refused():
    with pytest.raises(PatchingError, match="one of " + ", ".join(sorted(registry.PROVIDERS))):
        make("tape")


def test_what_puts_no_disk_back_says_so_when_asked_what_that_loses():
    assert make("none").loss("none", "db1") == (None, "provider none puts no disk back")
