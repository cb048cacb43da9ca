# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping package scripts from stopping or starting services while rpm runs.

rpm has no policy-rc.d. Its packages' scripts call systemctl, which in an environment with ``SYSTEMD_OFFLINE=1`` does
to unit files what it is told and ignores what is about running units (systemd's docs/ENVIRONMENT.md). It ignores
daemon-reload too, so that is done afterwards.
"""

import contextlib
from typing import Iterator

from ansible_collections.hospital.patching.plugins.module_utils import systemd_units
from ansible_collections.hospital.patching.plugins.module_utils.host import Host

#: The environment of every command that may run package scripts.
ENVIRONMENT = {
    "SYSTEMD_OFFLINE": "1",
    # What needrestart's hooks do is update_restart's work.
    "NEEDRESTART_SUSPEND": "1",
    # A become method may hand over a path without sbin, and scripts need it.
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


@contextlib.contextmanager
def quiet(host: Host) -> Iterator[None]:
    """Let systemd read the unit files that packages have brought, at the end, whatever happened."""
    try:
        yield
    finally:
        if systemd_units.booted(host.root):
            host.runner.run(["systemctl", "daemon-reload"], timeout_s=60, check=False)
