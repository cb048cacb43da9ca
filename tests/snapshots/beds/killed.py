# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that makes a restore point and is killed right after the server made it: SIGKILL, nothing is cleaned up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_api import Ec2
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import create_provider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere_api import Vsphere
from tests.support.playbook import ROOT

#: Through which calls providers change something: a command's words, or an operation's name, come first.
CALLS = ((Runner, "run"), (Ec2, "call_once"), (Ec2, "call"), (Vsphere, "change"))


def creation(
    provider: str,
    options: Mapping[str, Any],
    run_id: str,
    host: str,
    expires: str,
    last_calls: Sequence[str],
    environment: Mapping[str, str],
) -> None:
    """Have it done by a process of its own; the first of ``last_calls`` that it makes is its last one."""
    asked = {
        "provider": provider,
        "options": options,
        "run_id": run_id,
        "host": host,
        "expires": expires,
        "last_calls": list(last_calls),
    }
    paths = os.pathsep.join([str(ROOT), str(ROOT / "collections")])
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": paths},
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"not killed where it should have been: {done.stdout}{done.stderr}"


def _end_after(owner: type, method: str, last_calls: Sequence[str]) -> None:
    real = getattr(owner, method)

    def last(self: object, first: str | list[str], *rest: Any, **named: Any) -> Any:
        answer = real(self, first, *rest, **named)
        if set(last_calls) & ({first} if isinstance(first, str) else set(first)):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, method, last)


def _main() -> None:
    asked = json.load(sys.stdin)
    for owner, method in CALLS:
        _end_after(owner, method, asked["last_calls"])
    provider = create_provider(asked["provider"], asked["options"], Runner(), Clock())
    keeping.present(provider, asked["run_id"], asked["host"], "before the monthly update", asked["expires"])


if __name__ == "__main__":
    _main()
