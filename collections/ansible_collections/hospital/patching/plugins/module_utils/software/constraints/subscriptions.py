# SPDX-License-Identifier: GPL-3.0-or-later
"""Paid access to updates: Red Hat's entitlements, SUSE's registration, Ubuntu Pro. Expired, updates stay away."""

import json
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.certificate_end import not_after
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    HOLDS,
    INFORMS,
    UNKNOWN,
    Entry,
    Look,
    entry,
)

CONSUMER = "etc/pki/consumer/cert.pem"
ENTITLEMENTS = "etc/pki/entitlement"
PRO_STATUS = "var/lib/ubuntu-advantage/status.json"
SUSE_PROGRAMS = ("usr/sbin/SUSEConnect", "usr/bin/SUSEConnect", "usr/bin/suseconnect")


def _ends(kind: str, name: str, end: Optional[datetime], now: datetime, what: str) -> Entry:
    """Return the entry of something that gives access until ``end`` (None: without end)."""
    if end is None:
        return entry(kind, name, what, INFORMS)
    if end <= now:
        return entry(kind, name, "{}, expired {}".format(what, end.date()), HOLDS)
    return entry(kind, name, "{}, until {} ({} days)".format(what, end.date(), (end - now).days), INFORMS)


def red_hat(look: Look) -> List[Entry]:
    """Certificates of subscription-manager; ``*-key.pem`` are private keys and not opened."""
    names = [name for name in look.listing(ENTITLEMENTS) if name.endswith(".pem") and not name.endswith("-key.pem")]
    paths = ([CONSUMER] if look.exists(CONSUMER) else []) + [ENTITLEMENTS + "/" + name for name in names]
    found = []
    for path in paths:
        what = "identity of this host" if path == CONSUMER else "entitlement"
        try:
            end = not_after(look.text(path) or "")
        except (OSError, ValueError) as error:
            found.append(entry("subscription", "/" + path, "{}: {}".format(what, error), UNKNOWN))
            continue
        found.append(_ends("subscription", "/" + path, end, look.host.clock.now(), what))
    return found


def ubuntu_pro(look: Look) -> List[Entry]:
    """What the pro client recorded: whether it is attached, until when, and which services are on."""
    text = look.text(PRO_STATUS)
    if text is None:
        return []
    status = json.loads(text)
    if not isinstance(status, dict):
        raise ValueError("/{}: no status".format(PRO_STATUS))
    if not status.get("attached"):
        return [entry("subscription", "Ubuntu Pro", "not attached: no ESM updates", INFORMS)]
    services: Dict[str, str] = {
        str(service.get("name")): str(service.get("status"))
        for service in status.get("services") or []
        if isinstance(service, dict)
    }
    words = ", ".join("{} {}".format(name, services[name]) for name in sorted(services) if services[name] != "n/a")
    end = _moment(status.get("expires"))
    return [
        _ends("subscription", "Ubuntu Pro", end, look.host.clock.now(), "attached: {}".format(words or "no service"))
    ]


def suse(look: Look) -> List[Entry]:
    """What ``SUSEConnect --status`` says as JSON; it asks the registration server, so it may not answer."""
    program = next((name for name in SUSE_PROGRAMS if look.exists(name)), None)
    if program is None:
        return []
    products = json.loads(look.host.runner.run(["/" + program, "--status"], timeout_s=20).stdout)
    found = []
    for product in products:
        name, status = str(product.get("identifier")), str(product.get("status"))
        if status != "Registered":
            found.append(entry("subscription", name, "{}: no updates from SUSE".format(status), HOLDS))
        else:
            what = "registered, {}".format(product.get("subscription_status") or "no subscription named")
            found.append(_ends("subscription", name, _moment(product.get("expires_at")), look.host.clock.now(), what))
    return found


def _moment(value: Any) -> Optional[datetime]:
    """Return the day of ``2027-05-31T00:00:00+00:00``, ``2027-05-31 00:00:00 UTC`` and the like, as the day's end."""
    try:
        return datetime.strptime(str(value)[:10] + "T23:59:59Z", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
