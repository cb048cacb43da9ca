# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison that stops dnf before it does anything else; the rest of the hook is run with the real dnf."""

import json
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf_transaction_hook as hook


def package(name, version, arch="noarch"):
    epoch, _colon, rest = version.rpartition(":")
    number, _dash, release = rest.partition("-")
    return SimpleNamespace(name=name, arch=arch, epoch=int(epoch or 0), version=number, release=release)


OLD, NEW, WORDS, LABELS = (
    package("agent", "1:1.0-1"),
    package("agent", "1:1.1-1"),
    package("words", "1-1"),
    package("labels", "1-1"),
)
ASKED = {
    "install": [
        ["agent", "noarch", "1:1.1-1", "/s/a.rpm", "os", None],
        ["words", "noarch", "1-1", "/s/w.rpm", "os", True],
    ],
    "remove": [["labels", "noarch", "1-1"]],
}


def differences(comes, goes, there=(OLD, LABELS), asked=None):
    installed = {(one.name, one.arch, hook.evr(one)) for one in there}
    base = SimpleNamespace(transaction=SimpleNamespace(install_set=comes, remove_set=goes))
    return hook.differences(base, asked or ASKED, lambda *key: key in installed)


def test_exactly_the_transaction_is_no_difference():
    assert differences([NEW, WORDS], [OLD, LABELS]) == []


@pytest.mark.parametrize(
    ("comes", "goes", "seen"),
    [
        ([NEW, WORDS, package("cowsay", "3-1")], [OLD, LABELS], "dnf would also install cowsay-3-1.noarch"),
        ([NEW], [OLD, LABELS], "dnf would not install words-1-1.noarch"),
        ([NEW, WORDS], [OLD, LABELS, package("db", "9-1")], "dnf would also remove db-9-1.noarch"),
        ([NEW, WORDS], [OLD], "dnf would not remove labels-1-1.noarch"),
    ],
)
def test_anything_else_is_named(comes, goes, seen):
    assert differences(comes, goes) == [seen]


def test_another_version_is_two_differences():
    assert differences([package("agent", "1:1.2-1"), WORDS], [OLD, LABELS]) == [
        "dnf would also install agent-1:1.2-1.noarch",
        "dnf would not install agent-1:1.1-1.noarch",
    ]


def test_what_is_gone_already_need_not_go():
    assert differences([NEW, WORDS], [OLD], there=[OLD]) == []


def test_the_old_version_goes_whatever_its_architecture():
    assert differences([NEW, WORDS], [package("agent", "1:1.0-1", "x86_64"), LABELS]) == []


@pytest.mark.parametrize(
    ("comes", "goes", "differ"),
    [("x86_64", "x86_64", False), ("x86_64", "noarch", False), ("noarch", "i686", False), ("x86_64", "i686", True)],
)
def test_the_other_architecture_of_a_pair_is_another_package(comes, goes, differ):
    new, old = package("libagent", "1.1-1", comes), package("libagent", "1.0-1", goes)
    asked = {"install": [["libagent", comes, "1.1-1", "/s/l.rpm", "os", None]], "remove": []}
    seen = ["dnf would also remove libagent-1.0-1.i686"] if differ else []
    assert differences([new], [old], [old], asked) == seen


def test_what_is_begun_is_on_disk_line_by_line(tmp_path):
    path = str(tmp_path / "begun")
    for name in ("agent", "words"):
        hook.note(path, [name, "noarch"])
    with open(path, encoding="utf-8") as handle:
        assert [json.loads(line) for line in handle] == [["agent", "noarch"], ["words", "noarch"]]


def test_a_python_without_dnf_says_so_and_fails(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dnf", None)
    question, answer = tmp_path / "q.json", tmp_path / "a.json"
    question.write_text(json.dumps({"work": "perform", "answer": str(answer)}))
    monkeypatch.setattr(sys, "argv", ["hook.py", str(question)])
    assert hook.main() == 1
    assert json.loads(answer.read_text())["error"]["step"] == "bindings"
