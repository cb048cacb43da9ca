# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes against the real software: tests whose server is absent are skipped with the name of its package."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import ProbeContext
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.plugin_utils.schema import validate

Read = Callable[..., dict[str, Any]]
#: By a signal or a tracer; or no more there.
STOPPED = ("T", "t", "")


@pytest.fixture
def read() -> Read:
    """Return a function that reads a probe as the module does on a machine that declared no device segment."""

    def run(**definition: Any) -> dict[str, Any]:
        clock = Clock()
        context = ProbeContext(Runner(), clock, Connector([], clock), "/proc")
        result = registry.build({"name": "probe", **definition}, context).read()
        validate("probe_result", result, "a result")
        canonical_json(result)  # as the ledger takes it: no number is a float
        return result

    return run


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that finds a port that nobody listens on."""

    def find() -> int:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            return int(holder.getsockname()[1])

    return find


@pytest.fixture(scope="module")
def daemon() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start servers that stay in the foreground, wait until they listen, and end them with the module."""
    running: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], port: int, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        running.append(process)
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return process
            time.sleep(0.1)

    yield start
    for process in running:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(20)


@pytest.fixture
def stopped() -> Callable[[subprocess.Popen[bytes]], contextlib.AbstractContextManager[None]]:
    """Return what stops a server for a while: its port takes connections, and nothing answers."""

    @contextlib.contextmanager
    def stop(process: subprocess.Popen[bytes]) -> Iterator[None]:
        process.send_signal(signal.SIGSTOP)
        try:
            until_stopped(process)
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    return stop


def until_stopped(process: subprocess.Popen[bytes]) -> None:
    """Wait for each thread to stop: on a busy machine one may still take a connection after the signal was sent."""
    deadline = time.monotonic() + 20
    while any(state(task) not in STOPPED for task in Path(f"/proc/{process.pid}/task").iterdir()):
        assert process.poll() is None, f"{process.args!r} has ended"
        assert time.monotonic() < deadline, f"{process.args!r} does not stop"
        time.sleep(0.01)


def state(task: Path) -> str:
    """Return the state of a thread, as proc(5) names it, or nothing of one that has ended."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a short path that any user may enter: servers give up root, and paths of sockets are short."""
    path = Path(tempfile.mkdtemp(prefix="probe"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def unprivileged() -> list[str]:
    """Return what has a command run as another user than root: PostgreSQL refuses root."""
    return ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
