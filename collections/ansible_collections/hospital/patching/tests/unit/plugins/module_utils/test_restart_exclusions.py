# SPDX-License-Identifier: GPL-3.0-or-later
"""What is never restarted automatically."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.restart_exclusions import reason_not_to_restart


@pytest.mark.parametrize(
    "unit",
    [
        "dbus.service",
        "systemd-logind.service",
        "networking.service",
        "NetworkManager.service",
        "docker.service",
        "containerd.service",
        "libvirtd.service",
        "getty@tty1.service",
        "user@1000.service",
        "session-3.scope",
        "gdm.service",
        "pacemaker.service",
        "corosync.service",
        "multipathd.service",
        "iscsid.service",
        "hospital-patching-work.scope",
        "libpod-1.scope",
    ],
)
def test_these_are_owed(unit):
    assert reason_not_to_restart(unit)


@pytest.mark.parametrize(
    "unit", ["nginx.service", "ssh.service", "postgresql@15-main.service", "haproxy.service", "cron.service"]
)
def test_these_are_restarted(unit):
    assert reason_not_to_restart(unit) is None
