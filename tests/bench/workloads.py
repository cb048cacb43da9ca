# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: each workload is one function without arguments."""

import subprocess
from pathlib import Path

from ansible_collections.hospital.patching.plugins.module_utils import canonical

ROOT = Path(__file__).resolve().parents[2]


def digest_manifest_500() -> str:
    """Digest a manifest of 500 entries, as plan and stage do for every host."""
    entries = [
        {
            "name": f"package-{number}",
            "arch": "amd64",
            "version": f"1:{number}.0-1+deb12u2",
            "sha256": f"{number:064x}",
            "origin": "Debian-Security:12/oldstable-security",
            "kind": "upgrade",
        }
        for number in range(500)
    ]
    return canonical.digest({"schema": 1, "group": "debian-12-amd64", "entries": entries})


def playbook_start() -> None:
    """Start Ansible, parse a playbook of the collection and stop: what every run costs before its first task."""
    subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", "localhost,", "playbooks/assess.yml"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
