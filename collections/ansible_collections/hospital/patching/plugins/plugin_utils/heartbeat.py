# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's sign of life between two ledger records: a step such as dpkg may write none for half an hour."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

#: Its time of modification is the sign; it is empty, and no evidence.
ALIVE = "alive"


class Heartbeat(AbstractContextManager["Heartbeat"]):
    """Touches ``<run dir>/alive`` at once, and every ``every_s`` seconds in a thread while the block runs.

    A directory that is full, read-only or missing does not end the step in
    flight: whether a run goes on without evidence is the ledger's decision.
    Ansible's workers outlive a controller that is killed, so the thread also
    ends when the process that started this one is gone: what nobody waits for
    any more is no sign of life.
    """

    def __init__(self, run_dir: Path, every_s: float = 5) -> None:
        self._path = run_dir / ALIVE
        self._every_s = every_s
        self._parent = os.getppid()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"sign of life of {run_dir.name}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._touch()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # A file server that hangs must not hold the step's result back for ever.
        self._thread.join(timeout=self._every_s)

    def _beat(self) -> None:
        while not self._ended.wait(self._every_s) and os.getppid() == self._parent:
            self._touch()

    def _touch(self) -> None:
        with suppress(OSError):
            self._path.touch()


def last_beat(run_dir: Path) -> datetime | None:
    """Return when the run showed its last sign of life beside its ledger; None when it never did.

    Raises:
        OSError: the run's directory cannot be read.
    """
    try:
        return datetime.fromtimestamp((run_dir / ALIVE).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
