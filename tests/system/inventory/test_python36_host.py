# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules on a host whose only Python is 3.6, over SSH, driven by ansible-core 2.16, the last that serves it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import lab
from tests.support.playbook import ROOT

HOST = "old1"


def tool(*words: str) -> str:
    """Return what a tool of this repository prints; skip with what it says where it does not find what it needs."""
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        pytest.skip(ran.stderr.strip() or f"{' '.join(words)} found nothing on this machine")
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def ansible_playbook() -> str:
    """Make the environment with ansible-core 2.16 where it is not there yet (about 20 s)."""
    return tool("tools/ansible216.sh")


@pytest.fixture(scope="module")
def interpreter() -> str:
    """Return this machine's Python 3.6, from a folder that a host can be given as it is."""
    python = tool("tools/find_python.sh", "3.6")
    if Path(python).parents[1] in (Path("/"), Path("/usr"), Path("/usr/local")):
        pytest.skip(f"{python} is part of the system and cannot be given to a host")
    return python


@pytest.fixture(scope="module")
def old_host(interpreter, tmp_path_factory) -> Iterator[Path]:
    """Start a portal host, take its Python away and give it 3.6; return an inventory that reaches it."""
    prefix = Path(interpreter).parents[1]
    with lab.extra_host(HOST, [f"{prefix}:{prefix}:ro"], like="portal1"):
        lab.exec(HOST, "rm -rf /usr/bin/python3* /usr/lib/python3*")
        others = lab.exec(HOST, "find / -xdev -type f -perm /111 -regex '.*/bin/python[0-9.]*'")
        assert others == "", "it has another Python"
        folder = tmp_path_factory.mktemp("old_host")
        key = (lab.folder() / f"hosts/{HOST}/identity/ssh_host_ed25519_key.pub").read_text(encoding="utf-8").split()
        (folder / "known_hosts").write_text(f"{lab.address(HOST)} {key[0]} {key[1]}\n", encoding="utf-8")
        variables = {
            "ansible_host": lab.address(HOST),
            "ansible_user": "patch",
            "ansible_become": True,
            "ansible_python_interpreter": interpreter,
            "ansible_ssh_private_key_file": str(lab.folder() / "ssh/id_ed25519"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder}/known_hosts -o StrictHostKeyChecking=yes",
            "patching_device_segments": ["10.77.66.0/24"],
        }
        path = folder / "hosts.yml"
        path.write_text(yaml.safe_dump({"all": {"hosts": {HOST: variables}}}), encoding="utf-8")
        yield path


@pytest.fixture(scope="module")
def answers(old_host, ansible_playbook) -> dict[str, Any]:
    """Let the host answer both modules; return their results, and its Python's version."""
    return ask(old_host, ansible_playbook)


def ask(inventory: Path, ansible_playbook: str) -> dict[str, Any]:
    """Play both modules against every host of an inventory that has one, and return what they answered."""
    results = inventory.with_name("results.json")
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "python"]}, "register": "python"},
        {"hospital.patching.software_facts": {}, "register": "software"},
        {"hospital.patching.pending_updates_info": {}, "register": "pending"},
        {
            "ansible.builtin.copy": {
                "content": "{{ {'python': python, 'software': software, 'pending': pending} | to_json }}",
                "dest": str(results),
                "mode": "0644",
            },
            "delegate_to": "localhost",
            "become": False,
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        },
    ]
    playbook = inventory.with_name("playbook.yml")
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    ran = subprocess.run(
        [ansible_playbook, "-i", str(inventory), str(playbook)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return dict(json.loads(results.read_text(encoding="utf-8")))


def test_its_python_is_3_6(answers):
    assert answers["python"]["ansible_facts"]["ansible_python"]["version"]["minor"] == 6


def test_software_facts_collects_every_part(answers):
    software = answers["software"]["ansible_facts"]["patching_software"]
    assert software["errors"] == {}
    listed = lab.exec(HOST, "dpkg-query -W").splitlines()
    assert len(software["packages"]) == len(listed) > 100


def test_pending_updates_info_resolves_the_transaction(answers):
    assert not answers["pending"]["changed"]
    versions = {one["name"]: (one["from"], one["to"]) for one in answers["pending"]["updates"]}
    assert versions["ehr-portal"] == ("1.0.0", "1.1.0")
