# SPDX-License-Identifier: GPL-3.0-or-later
"""What providers on the host itself need: what is mounted, who uses it, and one call at a time."""

import contextlib
import fcntl
import os
from typing import Iterator, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount

#: For how long another call on this host is waited for.
LOCK_WAIT_S = 30


def read_text(path: str) -> str:
    """Return a file's text, empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def mounted_at(path: str, found: List[Mount]) -> Optional[Mount]:
    """Return the uppermost mount at ``path``."""
    return next((mount for mount in reversed(found) if mount.path == path), None)


def holders(path: str) -> List[str]:
    """Return the programs that have a file or folder of the mount at ``path`` open, as ``NAME (PID)``."""
    device, found = os.stat(path).st_dev, []
    for pid in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        base = os.path.join("/proc", pid)
        with contextlib.suppress(OSError):
            links = [os.path.join(base, "cwd"), os.path.join(base, "root")]
            links += [os.path.join(base, "fd", number) for number in os.listdir(os.path.join(base, "fd"))]
            if any(_device(link) == device for link in links):
                found.append("{} ({})".format(read_text(os.path.join(base, "comm")).strip(), pid))
    return found[:10]


def _device(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_dev
    except OSError:
        return None


@contextlib.contextmanager
def locked(clock: Clock, folder: str, kind: str) -> Iterator[None]:
    """Hold the lock of one kind of snapshot on this host; ``folder`` is made for root alone.

    Raises:
        PatchingError: another call does not end.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    handle = os.open(os.path.join(folder, "lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        for attempt in range(LOCK_WAIT_S + 1):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == LOCK_WAIT_S:
                    raise PatchingError(
                        "{} snapshots of this host".format(kind),
                        "another call works on them for more than {} s".format(LOCK_WAIT_S),
                        "one at a time",
                        "let it end, then run again",
                    )
                clock.sleep(1)
        yield
    finally:
        os.close(handle)
