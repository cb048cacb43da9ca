# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends controllers in the tests leaves nothing at work, whatever sessions its processes have."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.processes import descendants, kill_tree, wait_for_the_last_of


def state(pid: int) -> str:
    """The letter of proc(5); Z where nobody has awaited it, empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_processes_in_sessions_of_their_own_end_as_well():
    words = ["sh", "-c", "setsid sh -c 'sleep 600 & wait' & setsid sleep 600 & wait"]
    process = subprocess.Popen(words)
    deadline = time.monotonic() + 20
    while len(descendants(process.pid)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    started = descendants(process.pid)
    kill_tree(process.pid)
    assert process.wait() == -signal.SIGKILL
    while any(state(pid) not in ("", "Z") for pid in started):
        assert time.monotonic() < deadline, "something is at work still"
        time.sleep(0.01)


def test_a_folder_is_waited_for_until_nothing_names_it(tmp_path):
    with subprocess.Popen(["sh", "-c", "read -r _; exit 0", "it", str(tmp_path)], stdin=subprocess.PIPE) as process:
        with pytest.raises(TimeoutError, match=f"processes of {tmp_path}: .*{process.pid}"):
            wait_for_the_last_of(tmp_path, patience_s=0.2)
        assert process.stdin is not None
        process.stdin.close()
        wait_for_the_last_of(tmp_path)
        assert state(process.pid) in ("", "Z")
