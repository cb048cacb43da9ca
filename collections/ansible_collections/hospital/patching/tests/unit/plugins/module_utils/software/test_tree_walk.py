# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking within limits, and what is never entered."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import mount_kinds
from ansible_collections.hospital.patching.plugins.module_utils.software import tree_walk
from ansible_collections.hospital.patching.plugins.module_utils.software.tree_walk import Limits, TreeWalk

MOUNTINFO = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
90 27 0:50 / /opt/share rw,relatime shared:1 - nfs4 files.hospital.example:/share rw,vers=4.2
91 27 254:1 / /opt/ehr rw,relatime - xfs /dev/vdb rw
92 27 0:51 / /srv/with\\040blank rw - cifs //files/x rw
93 27 0:52 / /home rw - autofs auto.home rw
94 91 0:53 / /opt/ehr/overlay-merged rw - overlay overlay rw
"""


@pytest.fixture
def host(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(MOUNTINFO)
    return Host(None, Clock(), str(tmp_path), "")


def make(host, *paths):
    for path in paths:
        os.makedirs(os.path.join(host.root, path.lstrip("/")))


def visited(host, *roots, **limits):
    walk = TreeWalk(host, Limits(**dict({"depth": 9, "directories": 100, "seconds": 60, "fan_out": 100}, **limits)))
    return [directory.path for directory in walk.walk(roots, lambda name: True)], walk.problems


def test_mounts():
    assert mount_kinds(MOUNTINFO) == {
        "/": "ext4",
        "/opt/share": "nfs4",
        "/opt/ehr": "xfs",
        "/srv/with blank": "cifs",
        "/home": "autofs",
        "/opt/ehr/overlay-merged": "overlay",
    }
    assert mount_kinds("rubbish\n1 2 3\n - \n") == {}


def test_only_local_disks_are_entered(host):
    make(host, "/opt/share/app", "/opt/ehr/app", "/opt/ehr/overlay-merged/x", "/srv/with blank/x", "/home/anna")
    found, problems = visited(host, "/opt", "/srv", "/srv/with blank/x", "/home/*", "/opt/share/app")
    assert found == ["/opt", "/opt/ehr", "/opt/ehr/app", "/srv"]
    assert problems == []


def test_links_lead_nowhere_but_a_root_may_be_one(host):
    make(host, "/opt/a", "/data/b")
    os.symlink("..", os.path.join(host.root, "opt/a/loop"))
    os.symlink("data", os.path.join(host.root, "srv"))
    os.symlink("/etc", os.path.join(host.root, "var"))  # out of this root
    assert visited(host, "/opt", "/srv", "/var", "/absent") == (["/opt", "/opt/a", "/data", "/data/b"], [])


def test_stores_and_hidden_directories_are_passed_over(host):
    make(host, "/root/.cache/x", "/root/.pyenv/x", "/root/.git", "/root/containers/x")
    assert visited(host, "/root")[0] == ["/root", "/root/.pyenv", "/root/.pyenv/x"]


def test_limits_are_told(host):
    make(host, *["/opt/a{}/b".format(number) for number in range(9)])
    assert len(visited(host, "/opt", depth=1)[0]) == 10
    found, problems = visited(host, "/opt", directories=5)
    assert len(found) == 5
    assert "/opt/a2 and what comes after it" in problems[0]
    assert "not looked at" in visited(host, "/opt", seconds=-1)[1][0]


def test_an_image_archive_is_not_entered(host):
    make(host, *["/var/lib/orthanc/db-v6/{:02x}/00".format(number) for number in range(16)])
    make(host, "/var/lib/app")
    assert visited(host, "/var/lib", fan_out=15)[0] == [
        "/var/lib",
        "/var/lib/app",
        "/var/lib/orthanc",
        "/var/lib/orthanc/db-v6",
    ]
    assert len(visited(host, "/var/lib/orthanc/db-v6", fan_out=15)[0]) == 33


def test_a_root_given_twice_is_walked_once(host):
    make(host, "/opt/a")
    assert visited(host, "/opt", "/opt/a", "/opt*")[0] == ["/opt", "/opt/a"]


def test_a_thorough_walk_enters_caches_and_tells_of_what_it_leaves_out(host):
    make(host, "/opt/.hidden/cache/node_modules", "/opt/share/app", "/opt/deep/1/2/3", "/opt/empty/overlay2")
    make(host, "/var/lib/docker/overlay2", "/var/lib/machines", "/home/anna")
    walk = TreeWalk(host, Limits(4, 100, 60, 100), thorough=True)
    roots = ("/opt", "/var/lib", "/home/*", "/absent", "/opt/share/app")
    found = [directory.path for directory in walk.walk(roots, lambda name: True)]
    assert "/opt/.hidden/cache/node_modules" in found
    assert walk.absent == ["/absent"]
    assert walk.problems == [
        "/var/lib/docker is a store of containers",
        "/home is on autofs",
        "/opt/share is on nfs4",
    ]


def test_a_thorough_walk_tells_of_its_bounds(host):
    make(host, "/opt/a/b/c", "/srv/wide/1", "/srv/wide/2")
    walk = TreeWalk(host, Limits(1, 100, 60, 1), thorough=True)
    assert len(list(walk.walk(("/opt", "/srv"), lambda name: True))) == 4
    assert walk.problems == ["/opt/a is 1 directories deep", "/srv/wide has 2 directories"]


def test_problems_are_bounded(host, monkeypatch):
    monkeypatch.setattr(tree_walk, "TOLD", 2)
    make(host, *["/opt/{}/overlay2/x".format(number) for number in range(5)])
    walk = TreeWalk(host, Limits(9, 100, 60, 100), thorough=True)
    list(walk.walk(("/opt",), lambda name: True))
    assert walk.problems[1:] == ["/opt/1/overlay2 is a store of containers", "3 more"]
