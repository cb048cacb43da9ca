# SPDX-License-Identifier: GPL-3.0-or-later
"""What the whole-system tests require of hosts and messages."""

from __future__ import annotations

from tests.support import lab
from tests.support.night import PORTALS, Night, as_found


def version(host: str, package: str = "ehr-portal") -> str:
    """Return the installed version of a package."""
    return lab.exec(host, f"dpkg-query -W -f '${{Version}}' {package}").strip()


def require_final_state(night: Night) -> None:
    """Require all that an undisturbed run leaves behind."""
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched")
    for host in PORTALS:
        assert version(host) == "1.1.0"
        assert "held 0 times" in as_found(host)
        assert lab.exec(host, "dpkg --audit") == ""
        assert lab.in_service(host)
        assert lab.exec(host, "systemctl is-active apt-daily.timer || true").strip() == "active"
        upgrades = lab.exec(host, "grep -c ' upgrade ehr-portal' /var/log/dpkg.log || true").strip()
        assert upgrades == "1", "it was installed more than once"


def four_parts(message: str) -> None:
    """Require what was seen, what was expected and what to do next, after the object."""
    assert ": " in message, message
    assert "; expected " in message, message
    assert "Next: " in message, message
