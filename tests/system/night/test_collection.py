# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users get it: a tarball, installed into an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.playbook import ROOT

COLLECTION = ROOT / "collections/ansible_collections/hospital/patching"
TOOLS = Path(sys.executable).parent


def run(*command: str, **environment: str) -> str:
    ran = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_tarball_installs_and_every_module_is_documented(tmp_path):
    built, installed = tmp_path / "built", tmp_path / "installed"
    run(str(TOOLS / "ansible-galaxy"), "collection", "build", str(COLLECTION), "--output-path", str(built))
    (tarball,) = built.iterdir()
    assert tarball.name == "hospital-patching-0.1.0.tar.gz"
    (tmp_path / "ansible.cfg").touch()
    elsewhere = {"ANSIBLE_COLLECTIONS_PATH": str(installed), "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    run(str(TOOLS / "ansible-galaxy"), "collection", "install", str(tarball), "-p", str(installed), **elsewhere)
    assert (installed / "ansible_collections/hospital/patching/playbooks/patch.yml").exists()

    modules = sorted(path.stem for path in (COLLECTION / "plugins/modules").glob("[!_]*.py"))
    names = [f"hospital.patching.{name}" for name in modules]
    shown = json.loads(run(str(TOOLS / "ansible-doc"), "-t", "module", "-j", *names, **elsewhere))
    assert sorted(shown) == names
    for name, parts in shown.items():
        assert parts["doc"]["short_description"], name
        assert parts["examples"].strip(), name
        assert parts["return"], name


def test_nothing_that_belongs_to_the_lab_is_in_the_tarball(tmp_path):
    run(str(TOOLS / "ansible-galaxy"), "collection", "build", str(COLLECTION), "--output-path", str(tmp_path))
    (tarball,) = tmp_path.iterdir()
    listed = run("tar", "-tzf", str(tarball))
    assert "portal" not in listed
    assert "lab_" not in listed
