# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file server or an automounter serves is not even asked for: every call with such a name fails the test."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import (
    applications,
    java_homes,
    npm_packages,
    python_environments,
    ruby_gems,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.local_disks import LocalDisks

MOUNTINFO = """\
27 1 254:0 / / rw - overlay overlay rw
90 27 0:50 / /opt/share rw - nfs4 files.hospital.example:/share rw
91 27 0:51 / /opt/local rw - ext4 /dev/vdb rw
92 27 0:52 / /opt/py/lib rw - cifs //files/x rw
93 27 0:53 / /home rw - autofs auto.home rw
"""
FOREIGN = ("/opt/share", "/opt/py/lib", "/home")


@pytest.fixture
def host(tmp_path, monkeypatch):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(MOUNTINFO)
    for name in ("opt/share/firefox", "opt/local", "opt/py/lib/python3.11/site-packages", "home/anna", "root/.hidden"):
        (tmp_path / name).mkdir(parents=True)
    for prefix in ("opt/share", "opt/local", "home/anna/.nvm/versions/node/v20"):
        for name, text in (
            ("lib/node_modules/pm2/package.json", '{"name": "pm2", "version": "5.3.0"}'),
            ("lib/ruby/gems/3.1.0/specifications/rake-13.0.6.gemspec", ""),
        ):
            path = tmp_path / prefix / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
    os.symlink("share/firefox", str(tmp_path / "opt/firefox"))
    os.symlink("/opt/share", str(tmp_path / "srv"))
    (tmp_path / "opt/jdk/bin").mkdir(parents=True)
    (tmp_path / "opt/jdk/release").write_text('JAVA_VERSION="17"')
    os.symlink("/opt/share/java", str(tmp_path / "opt/jdk/bin/java"))
    guard(monkeypatch, str(tmp_path))
    return Host(None, Clock(), str(tmp_path), "")


def guard(monkeypatch, root):
    """Let every call fail that the kernel would pass to a foreign file system."""

    def guarded(real, follows):
        def call(path, *others, **more):
            if isinstance(path, str) and path.startswith(root):
                follow = follows and more.get("follow_symlinks", True)
                inside = resolve(path, follow)[len(root) :]
                assert not any((inside + "/").startswith(name + "/") for name in FOREIGN), inside
            return real(path, *others, **more)

        return call

    real_lstat, real_readlink = os.lstat, os.readlink

    def resolve(path, follow):
        """Return the path with the links that the kernel follows resolved; links are the host's own."""
        done, pending = root, path[len(root) :].strip("/").split("/")
        while pending:
            inner = done + "/" + pending.pop(0)
            try:
                link = (real_lstat(inner).st_mode & 0o170000) == 0o120000 and (pending or follow)
            except OSError:
                return "/".join([inner] + pending)
            if link:
                target = real_readlink(inner)
                pending = target.strip("/").split("/") + pending
                done = root if target.startswith("/") else done
            else:
                done = inner
        return done

    for name, follows in (("lstat", False), ("stat", True), ("readlink", False), ("listdir", True), ("scandir", True)):
        monkeypatch.setattr(os, name, guarded(getattr(os, name), follows))
    monkeypatch.setattr(os, "open", guarded(os.open, True))


def test_expanding_and_resolving(host):
    disks = LocalDisks(host.root)
    assert disks.expand("/opt/*") == ["/opt/jdk", "/opt/local", "/opt/py"]
    assert disks.expand("/home/*") == disks.expand("/home/anna") == []
    assert disks.resolve("/srv/firefox") is None
    assert disks.resolve("/opt/jdk/../local/./lib") == "/opt/local/lib"
    assert disks.refused["/home"] == "autofs"


def test_links_in_a_circle_come_to_an_end(host):
    os.symlink("b/b", os.path.join(host.root, "opt/a"))
    os.symlink("a/a", os.path.join(host.root, "opt/b"))
    assert LocalDisks(host.root).resolve("/opt/a") is None


def test_hidden_names_match_only_hidden_patterns(host):
    disks = LocalDisks(host.root)
    assert disks.expand("/root/*") == []
    assert disks.expand("/root/.h*") == ["/root/.hidden"]
    assert disks.expand("/opt/[jl]*") == ["/opt/jdk", "/opt/local"]


def test_no_collector_asks_a_file_server(host):
    assert [row["path"] for row in npm_packages.collect(host)] == ["/opt/local/lib/node_modules/pm2"]
    assert [row["path"].split("/")[2] for row in ruby_gems.collect(host)] == ["local"]
    assert applications.collect(host) == []
    assert java_homes.collect(host) == []
    assert python_environments.collect(host) == []
