# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping maintainer scripts from stopping or starting services while dpkg runs.

invoke-rc.d and deb-systemd-invoke ask ``/usr/sbin/policy-rc.d``; exit status
101 means "forbidden" (invoke-rc.d(8)). A file of the site's own is honoured.
"""

import os
from types import TracebackType
from typing import Optional, Type

MARKER = "# placed by hospital.patching while packages are installed; safe to remove"
_TEXT = "#!/bin/sh\n{}\nexit 101\n".format(MARKER)


class PolicyRcD:
    """A context manager; ``owner`` says afterwards whose file was in force."""

    def __init__(self, root: str = "/") -> None:
        self.path = os.path.join(root, "usr/sbin/policy-rc.d")
        self.owner: Optional[str] = None

    def is_ours(self) -> bool:
        """Return whether a file of ours is in place, also one that a crash left behind."""
        try:
            with open(self.path, "rb") as handle:
                return MARKER.encode() in handle.read(4096)
        except OSError:
            return False

    def __enter__(self) -> "PolicyRcD":
        if os.path.lexists(self.path) and not self.is_ours():
            self.owner = "site"
            return self
        self.owner = "ours"
        with open(self.path + ".new", "w", encoding="utf-8") as handle:
            handle.write(_TEXT)
        os.chmod(self.path + ".new", 0o755)  # noqa: S103 - invoke-rc.d runs it
        os.rename(self.path + ".new", self.path)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.remove()

    def remove(self) -> bool:
        """Remove our own file, and only ours; return whether there was one."""
        if not self.is_ours():
            return False
        os.unlink(self.path)
        return True
