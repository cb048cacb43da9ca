# SPDX-License-Identifier: GPL-3.0-or-later
"""Alternatives: the real update-alternatives works on folders of the test's own."""

import os
import shutil
import subprocess

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.alternatives import (
    differences,
    restore,
    selections,
    wanted_back,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

TOOL = shutil.which("update-alternatives", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")
needs_the_tool = pytest.mark.skipif(TOOL is None, reason="update-alternatives is not installed")


class Names:
    """One name, ``editor``, and its choices under a root of its own."""

    def __init__(self, root):
        self.root = str(root)
        for path in ("etc/alternatives", "var/lib/dpkg/alternatives", "bin"):
            (root / path).mkdir(parents=True)
        for name in ("nano", "vim", "emacs"):
            (root / "bin" / name).write_text("")

    def path(self, name):
        return os.path.join(self.root, "bin", name)

    def tool(self, *words):
        folders = ["--altdir", self.root + "/etc/alternatives", "--admindir", self.root + "/var/lib/dpkg/alternatives"]
        log = ["--log", self.root + "/log"]
        command = [TOOL] + folders + log + list(words)
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout

    def offer(self, name, priority):
        self.tool("--install", self.path("editor"), "editor", self.path(name), str(priority), "--quiet")

    def now(self):
        return selections(self.root)


@pytest.fixture
def names(tmp_path):
    names = Names(tmp_path)
    names.offer("nano", 10)
    names.offer("vim", 20)
    return names


def put_back(names, before, removes=False):
    """Restore, and return what still differs."""
    restore(Runner(), before, differences(before, names.now(), names.root, removes), names.root)
    return differences(before, names.now(), names.root, removes)


@needs_the_tool
def test_the_selections_are_those_that_the_tool_prints(names):
    printed = [line.split() for line in names.tool("--get-selections").splitlines()]
    assert names.now() == {name: [mode, value] for name, mode, value in printed}
    assert names.now() == {"editor": ["auto", names.path("vim")]}


def test_a_host_without_alternatives_has_none(tmp_path):
    assert selections(str(tmp_path)) == {}


@needs_the_tool
@pytest.mark.parametrize("chosen", ["nano", "vim"])
def test_a_choice_by_hand_that_an_upgrade_has_dropped_comes_back(names, chosen):
    names.tool("--set", "editor", names.path(chosen))
    before = names.now()
    names.tool("--remove", "editor", names.path(chosen), "--quiet")
    names.offer(chosen, 20 if chosen == "vim" else 10)
    assert differences(before, names.now(), names.root, removes=False) == ["editor"]
    assert put_back(names, before) == []
    assert names.now() == before


@needs_the_tool
def test_a_new_package_does_not_take_a_name_over(names):
    before = names.now()
    names.offer("emacs", 30)
    assert names.now()["editor"][1] == names.path("emacs")
    assert put_back(names, before) == []
    assert names.now() == {"editor": ["manual", names.path("vim")]}
    assert differences(before, names.now(), names.root, removes=False) == [], "a second look finds a difference"

    names.tool("--remove", "editor", names.path("emacs"), "--quiet")
    restore(Runner(), before, ["editor"], names.root)
    assert names.now() == before, "the way back leaves the name pinned"


@needs_the_tool
def test_a_name_that_the_system_gives_to_another_since_its_choice_is_gone_is_no_difference(names):
    before = names.now()
    names.tool("--remove", "editor", names.path("vim"), "--quiet")
    assert differences(before, names.now(), names.root, removes=False) == []


@needs_the_tool
def test_a_choice_by_hand_that_is_gone_differs_unless_packages_were_to_be_removed(names):
    names.tool("--set", "editor", names.path("nano"))
    before = names.now()
    names.tool("--remove", "editor", names.path("nano"), "--quiet")
    assert put_back(names, before) == ["editor"]
    assert put_back(names, before, removes=True) == []
    assert names.now() == {"editor": ["auto", names.path("vim")]}


@needs_the_tool
def test_a_new_name_is_no_difference(names):
    assert differences({}, names.now(), names.root, removes=False) == []


def test_what_somebody_chose_after_the_installation_stays_on_the_way_back():
    before = {"editor": ["auto", "/vim"], "pager": ["auto", "/less"], "java": ["manual", "/java8"]}
    after = {"editor": ["manual", "/vim"], "pager": ["auto", "/less"], "new": ["auto", "/new"]}
    now = dict(after, pager=["manual", "/more"])
    assert wanted_back(now, before, after) == {
        "editor": ["auto", "/vim"],
        "pager": ["manual", "/more"],
        "java": ["manual", "/java8"],
    }
