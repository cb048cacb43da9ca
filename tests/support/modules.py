# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls one module of the collection on one host of the lab, as a role would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.playbook import LAB_INVENTORY, ROOT


def call(_host: str, _module: str, _check: bool = False, **options: Any) -> dict[str, Any]:
    """Return the module's result; a failed one has ``failed``."""
    command = [str(Path(sys.executable).with_name("ansible")), "-i", str(LAB_INVENTORY), _host]
    command += ["-m", f"hospital.patching.{_module}", "-a", json.dumps(options)] + ["--check"] * _check
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    environment = {**os.environ, **settings}
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    start = printed.stdout.find("=> {")
    assert start >= 0, printed.stdout + printed.stderr
    return dict(json.loads(printed.stdout[start + 3 :]))
