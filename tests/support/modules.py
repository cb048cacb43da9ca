# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls one module of the collection, on a host of the lab or on this machine, as a role would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.playbook import LAB_INVENTORY, ROOT

#: What this machine's own modules are run by, and with what connection.
HERE = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}", "localhost")


def call(_host: str, _module: str, _check: bool = False, **options: Any) -> dict[str, Any]:
    """Return the module's result on a host of the lab; a failed one has ``failed``."""
    return ask(("-i", str(LAB_INVENTORY), _host), _module, options, check=_check)


def call_here(_module: str, _environment: Mapping[str, str], **options: Any) -> dict[str, Any]:
    """Return the module's result on this machine, with these variables in its environment."""
    return ask(HERE, _module, options, environment=_environment)


def ask(
    where: Sequence[str],
    module: str,
    options: Mapping[str, Any],
    check: bool = False,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the module's result there; ``where`` are words of ansible's command line: inventory, connection, host."""
    command = [str(Path(sys.executable).with_name("ansible")), *where]
    command += ["-m", f"hospital.patching.{module}", "-a", json.dumps(options)] + ["--check"] * check
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    everything = {**os.environ, **settings, **(environment or {})}
    printed = subprocess.run(command, cwd=ROOT, env=everything, capture_output=True, text=True, check=False)
    start = printed.stdout.find("=> {")
    assert start >= 0, printed.stdout + printed.stderr
    return dict(json.loads(printed.stdout[start + 3 :]))
