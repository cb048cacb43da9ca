# SPDX-License-Identifier: GPL-3.0-or-later
"""What root runs, reads and writes belongs to root, or is refused."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING
from ansible_collections.hospital.patching.plugins.module_utils.third_party import registry
from ansible_collections.hospital.patching.plugins.module_utils.third_party.trusted import refuse_foreign


def test_what_belongs_to_a_service_is_refused_by_the_part_of_the_path(tmp_path):
    place = tmp_path / "java"
    place.mkdir(mode=0o755)
    refuse_foreign("java", str(place / "current"))
    with pytest.raises(PatchingError, match="belongs to the user with the number"):
        refuse_foreign("java", str(place / "current"), owners=[os.geteuid() + 1])


def test_where_a_link_leads_counts_too(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "java").symlink_to(tmp_path / "shared")
    with pytest.raises(PatchingError, match=r"others may write to .*shared"):
        refuse_foreign("java", str(tmp_path / "java"))
    (tmp_path / "shared").chmod(0o1777)
    refuse_foreign("java", str(tmp_path / "java"))


@pytest.mark.parametrize("part", ["java", "java/17.0.1", "java/17.0.1/bin/java"])
def test_software_that_others_may_write_to_is_refused_and_not_run(night, java, tmp_path, part):
    detect = {"command": ["bin/java", "-version"], "pattern": 'version "([^"]+)"'}
    todo = night.to(java("17.0.1", detect=detect))
    (tmp_path / part).chmod(0o777)
    found = night.joined().verify(todo, "to", [])
    assert "others may write to {}".format(tmp_path / part) in str(found["problems"])
    if part != "java/17.0.1/bin/java":  # the next version has a program of its own
        assert "others may write" in str(night.joined(java("17.0.2")).pending(EVERYTHING)["problems"])


def test_a_version_that_others_may_write_to_is_not_switched_to(night, java, tmp_path):
    night.to(java("17.0.1"))
    todo = night.stage(java("17.0.2"))["transaction"]
    (tmp_path / "java/17.0.2").chmod(0o777)
    with pytest.raises(PatchingError, match="others may write"):
        night.install(todo)


def test_a_detect_file_is_plain_and_its_text_is_not_told(host, tmp_path):
    one = registry.build(host, {"name": "v", "type": "installer", "detect": {"file": str(tmp_path / "v")}})
    os.mkfifo(str(tmp_path / "v"))
    with pytest.raises(PatchingError, match="no plain file"):
        one.installed()
    one.spec["detect"] = {"file": str(tmp_path / "secret"), "pattern": "v([0-9]+)"}
    (tmp_path / "secret").write_text("geheim")
    with pytest.raises(PatchingError) as refused:
        one.installed()
    assert "geheim" not in str(refused.value)
