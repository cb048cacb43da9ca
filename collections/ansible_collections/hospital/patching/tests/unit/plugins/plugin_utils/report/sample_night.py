# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample nights in the ledger's form: a good one, one with a rollback, a hostile one, a long one."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest

Document = dict[str, Any]
RUN_ID = "20261122T064500Z-ab12cd34"
OPENED = datetime(2026, 11, 22, 7, 0, 4, tzinfo=UTC)
WINDOW = {"text": "Sun 01:00, 3 h, America/Chicago", "start": "2026-11-22T07:00:00Z", "end": "2026-11-22T10:00:00Z"}
ORIGIN = "Debian-Security:12/oldstable-security"

#: name, from, to, CVEs (None: the changelog was not found)
COMMON: list[tuple[str, str, str, list[str] | None]] = [
    ("apt", "2.6.1", "2.6.1+deb12u1", []),
    ("bind9-dnsutils", "1:9.18.41-1~deb12u1", "1:9.18.44-1~deb12u1", ["CVE-2026-1519", "CVE-2025-13878"]),
    ("bind9-libs", "1:9.18.41-1~deb12u1", "1:9.18.44-1~deb12u1", ["CVE-2026-1519", "CVE-2025-13878"]),
    ("ca-certificates", "20230311+deb12u1", "20230311+deb12u2", []),
    ("curl", "7.88.1-10+deb12u14", "7.88.1-10+deb12u15", ["CVE-2025-15079", "CVE-2025-15224"]),
    ("libc-bin", "2.36-9+deb12u13", "2.36-9+deb12u14", ["CVE-2026-0861", "CVE-2026-0915", "CVE-2025-15281"]),
    ("libc6", "2.36-9+deb12u13", "2.36-9+deb12u14", ["CVE-2026-0861", "CVE-2026-0915", "CVE-2025-15281"]),
    ("libcurl4", "7.88.1-10+deb12u14", "7.88.1-10+deb12u15", ["CVE-2025-15079", "CVE-2025-15224"]),
    ("libexpat1", "2.5.0-1+deb12u2", "2.5.0-1+deb12u3", ["CVE-2026-24515"]),
    ("libglib2.0-0", "2.74.6-2+deb12u7", "2.74.6-2+deb12u8", ["CVE-2026-0988", "CVE-2026-1484"]),
    ("libgnutls30", "3.7.9-2+deb12u5", "3.7.9-2+deb12u6", ["CVE-2025-9820", "CVE-2025-14831"]),
    ("libpng16-16", "1.6.39-2+deb12u1", "1.6.39-2+deb12u3", ["CVE-2026-22695", "CVE-2026-22801"]),
    ("libpython3.11-minimal", "3.11.2-6+deb12u6", "3.11.2-6+deb12u7", ["CVE-2025-13836"]),
    ("libpython3.11-stdlib", "3.11.2-6+deb12u6", "3.11.2-6+deb12u7", ["CVE-2025-13836"]),
    ("libssl3", "3.0.17-1~deb12u3", "3.0.18-1~deb12u2", ["CVE-2025-15467", "CVE-2025-68160", "CVE-2025-69418"]),
    ("libxml2", "2.9.14+dfsg-1.3~deb12u4", "2.9.14+dfsg-1.3~deb12u5", None),
    ("login", "1:4.13+dfsg1-1+deb12u1", "1:4.13+dfsg1-1+deb12u2", ["CVE-2023-4641", "CVE-2023-29383"]),
    ("openssl", "3.0.17-1~deb12u3", "3.0.18-1~deb12u2", ["CVE-2025-15467", "CVE-2025-68160", "CVE-2025-69418"]),
    ("passwd", "1:4.13+dfsg1-1+deb12u1", "1:4.13+dfsg1-1+deb12u2", ["CVE-2023-4641", "CVE-2023-29383"]),
    ("python3.11", "3.11.2-6+deb12u6", "3.11.2-6+deb12u7", ["CVE-2025-13836"]),
    ("python3.11-minimal", "3.11.2-6+deb12u6", "3.11.2-6+deb12u7", ["CVE-2025-13836"]),
    ("sudo", "1.9.13p3-1+deb12u2", "1.9.13p3-1+deb12u3", ["CVE-2025-32462"]),
    ("tzdata", "2025b-0+deb12u1", "2026a-0+deb12u1", []),
]
OWN: dict[str, list[tuple[str, str, str, list[str] | None]]] = {
    "portal": [
        ("nginx", "1.22.1-9+deb12u2", "1.22.1-9+deb12u4", ["CVE-2025-53859", "CVE-2026-1642"]),
        ("clinical-portal", "1.4.0", "1.4.1", None),
    ],
    "db1": [
        ("postgresql-15", "15.14-0+deb12u1", "15.16-0+deb12u1", ["CVE-2026-2003", "CVE-2026-2004", "CVE-2026-2005"]),
        ("libpq5", "15.14-0+deb12u1", "15.16-0+deb12u1", ["CVE-2026-2003"]),
    ],
    "ws1": [
        ("firefox-esr", "140.5.0esr-1~deb12u1", "140.7.0esr-1~deb12u1", [f"CVE-2026-08{n:02d}" for n in range(77, 92)]),
        ("openjdk-17-jre-headless", "17.0.17+10-1~deb12u1", "17.0.18+8-1~deb12u1", ["CVE-2026-21925"]),
    ],
    "lb1": [
        ("haproxy", "2.6.12-1+deb12u2", "2.6.12-1+deb12u3", ["CVE-2025-11230"]),
        ("libpcre2-8-0", "10.42-1", "10.42-1+deb12u1", ["CVE-2025-58050"]),
    ],
}
UNITS = {
    "portal": ["clinical-portal.service", "nginx.service", "ssh.service", "systemd-timesyncd.service"],
    "db1": ["postgresql@15-main.service", "ssh.service"],
    "ws1": ["ssh.service"],
    "lb1": ["haproxy.service", "ssh.service"],
}
HOSTS = ("ws1", "portal1", "portal2", "db1", "lb1")


#: As a plan has it.
EMERGENCY: Document = {
    "cve": "CVE-2026-1519",
    "exposed": ["portal2"],
    "first": ["portal2"],
    "break_glass": {
        "shortens": ["soak", "freeze"],
        "reason": "the portal is being attacked",
        "by": "ada",
        "second": "Dr. Jane Roe",
        "until": "2026-11-23T01:00:00Z",
        "freezes": [
            {
                "freeze": "2026-11-20 00:00 to 2026-11-30 00:00, UTC",
                "start": "2026-11-20T00:00:00Z",
                "end": "2026-11-30T00:00:00Z",
            }
        ],
        "freeze_files": [],
    },
}


def _kind_of(host: str) -> str:
    return "portal" if host.startswith("portal") else host


def _all_updates(host: str) -> list[tuple[str, str, str, list[str] | None]]:
    return sorted(COMMON + OWN[_kind_of(host)])


def updates(host: str) -> list[Document]:
    """Return the plan's 25 updates of a host."""
    third_party = {"firefox-esr", "openjdk-17-jre-headless", "clinical-portal"}
    return [
        {
            "name": name,
            "arch": "all" if name in ("ca-certificates", "tzdata", "clinical-portal") else "amd64",
            "from": old,
            "to": new,
            "kind": "upgrade",
            "origin": "Lab:portal/stable" if name == "clinical-portal" else ORIGIN,
            "class": "third_party" if name in third_party else "os",
            "security": name not in ("clinical-portal", "tzdata", "ca-certificates"),
            "advisories": [],
            "cves": None,
            "download_bytes": 512_000,
            "installed_bytes": None,
            "sha256": None,
            "automatic": name.startswith("lib"),
            "source": name,
            "source_from": old,
            "source_to": new,
            "published": None,
            "published_by": None,
        }
        for name, old, new, _cves in _all_updates(host)
    ]


def stages() -> dict[str, Document]:
    """Return what staging said of each host."""
    return {
        host: {
            "transaction": {
                "entries": [
                    {key: update[key] for key in ("name", "arch", "from", "to", "origin", "automatic")}
                    for update in updates(host)
                ]
            },
            "cves": {name: cves for name, _old, _new, cves in _all_updates(host) if cves is not None},
            "space": [{"mount": "/", "needed_bytes": 210_000_000, "free_bytes": 8_000_000_000}],
            "not_preserved": [],
            "listed": 25,
        }
        for host in HOSTS
    }


def _site_probes(host: str) -> list[Document]:
    """Return the probes that the site has named: those of the portal are read from where users are."""
    if _kind_of(host) == "portal":
        return [{"name": "url_1", "type": "http", "url": f"http://{host}/metadata", "vantage": "controller"}]
    return [{"name": "postgresql", "type": "tcp", "vantage": "host"}] if host == "db1" else []


def plan() -> Document:
    """Return the plan of the night: five hosts in five waves, one device left out."""
    drained = {
        host: {"type": "haproxy", "host": "lb1", "backend": "portal", "server": host} for host in ("portal1", "portal2")
    }
    tiers = {"portal": 2, "db1": 2, "lb1": 2, "ws1": 4}
    services = {"portal": "portal", "db1": "portal-db", "lb1": "portal-entry", "ws1": None}
    document: Document = {
        "schema": 1,
        "plan_id": RUN_ID,
        "created": "2026-11-22T06:45:00Z",
        "site": {"segments": ["10.9.200.0/24"]},
        "hosts": {
            host: {
                "address": f"10.9.0.{number}",
                "kind": "endpoint" if host == "ws1" else "server",
                "policy": "managed",
                "tier": tiers[_kind_of(host)],
                "service": services[_kind_of(host)],
                "ring": "canary" if host in ("portal1", "db1", "lb1", "ws1") else "broad",
                "window": WINDOW,
                "drain": drained.get(host, {"type": "none", "reason": "nothing stands in front of it"}),
                "snapshot": {"provider": "container" if host != "ws1" else "preserved", "reason": None},
                "probes": _site_probes(host),
                "manifest": "sha256:" + "4f" * 32,
                "updates": updates(host),
                "soak_s": 600,
                "estimate_s": 1800,
                "way_back_s": 1800,
                "downtime_s": None,
            }
            for number, host in enumerate(HOSTS, 10)
        },
        "services": {
            "portal": {"tier": 2, "hosts": ["portal1", "portal2"], "min_healthy": 1, "never_with": []},
            "portal-db": {"tier": 2, "hosts": ["db1"], "min_healthy": 0, "never_with": []},
            "portal-entry": {"tier": 2, "hosts": ["lb1"], "min_healthy": 0, "never_with": []},
        },
        "waves": [
            {"number": number, "hosts": [host], "soak_s": 600, "kind": "endpoints" if host == "ws1" else "servers"}
            for number, host in enumerate(HOSTS, 1)
        ],
        "not_planned": {
            "pump1": {"outcome": "excluded", "reason": "vendor_locked: a medical device is never connected to"}
        },
    }
    document["digest"] = digest(document)
    return document


TRAFFIC: Document = {
    "services": {
        "portal": {"requests": 5312, "failed": 0, "downtime_ms": 0, "longest_ms": 212, "per_second": 10},
        "portal-db": {"requests": 2650, "failed": 3, "downtime_ms": 340, "longest_ms": 340, "per_second": 5},
    },
    "devices": {"pump1": {"connections": 0}},
}


#: The night that stopped early: only the portal was asked.
SHORT_TRAFFIC: Document = {
    "services": {"portal": {**TRAFFIC["services"]["portal"], "requests": 3624}},
    "devices": TRAFFIC["devices"],
}


class Night:
    """Writes ledger records while time passes."""

    def __init__(self, the_plan: Document) -> None:
        self.plan = the_plan
        self.now = OPENED
        self.records: list[Document] = []
        self._append(
            None,
            "gate",
            "begin",
            plan_digest=the_plan["digest"],
            approval="run started with the plan's digest",
            controller="control1",
            started_by="mreyes",
        )

    def _append(self, about: str | None, step: str, event: str, /, **detail: Any) -> None:
        record: Document = {
            "schema": 1,
            "seq": len(self.records) + 1,
            "time": self.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "run_id": RUN_ID,
            "host": about,
            "step": step,
            "event": event,
            "detail": detail,
            "previous": self.records[-1]["hash"] if self.records else "sha256:" + "0" * 64,
        }
        record["hash"] = digest(record)
        self.records.append(record)

    def step(self, about: str, name: str, took_ms: int, event: str = "done", /, **detail: Any) -> None:
        """Let a step pass and record it, without a begin record, as most; probes are read in its last second."""
        self.now += timedelta(milliseconds=took_ms)
        for probe in detail.get("probes") or []:
            probe["at"] = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
            if probe["verdict"] != "ok":
                since = self.now - timedelta(milliseconds=took_ms * 9 // 10)
                probe["not_ok"] = {"from": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "to": probe["at"]}
        self._append(about, name, event, took_ms=took_ms, **detail)

    def outcome(self, host: str, outcome: str, reason: str) -> None:
        """Record a host's outcome."""
        self._append(host, "record", "outcome", outcome=outcome, reason=reason)

    def close(self) -> list[Document]:
        """Close the run and return its ledger."""
        self._append(None, "record", "done", outcomes={})
        return self.records


def probes(host: str, broken: bool = False) -> list[Document]:
    """Return the readings of a host's probes."""
    kind = _kind_of(host)
    found = [
        {"name": "builtin-units", "type": "units", "target": host, "detail": "no unit has failed"},
        {"name": "builtin-ports", "type": "ports", "target": host, "detail": "6 ports listening"},
        {"name": "builtin-mounts", "type": "mounts", "target": host, "detail": "4 mounts, none read-only"},
    ]
    if kind == "portal":
        found.append({"name": "url_1", "type": "http", "target": f"http://{host}/metadata", "detail": "200 in 34 ms"})
    if kind == "db1":
        found.append({"name": "postgresql", "type": "tcp", "target": "db1:5432", "detail": "connected in 2 ms"})
    for probe in found:
        failed = broken and probe["type"] == "http"
        probe.update(verdict="failed" if failed else "ok", seconds_ms=34, not_ok=None, value={})
        if failed:
            probe["detail"] = "status 503 after 34 ms; expected 200"
    return found


def _prepare(night: Night, host: str) -> None:
    night.step(host, "gate", 40, decision="go", reason="window open for 2 h 58 min; its peers are healthy")
    night.step(host, "lock", 3100, held=True)
    _look(night, host)
    night.step(host, "health_before", 4200, probes=probes(host), verdict="ok", findings=[])
    if _kind_of(host) == "portal":
        night.step(host, "drain", 6300, type="haproxy", host="lb1")
    provider = "preserved" if host == "ws1" else "container"
    night.step(host, "snapshot", 9800, id=f"hospital-patching/{host}:{RUN_ID}", provider=provider)


def _look(night: Night, host: str, step: str = "lock") -> None:
    """Read the probes of users of the other hosts of the service."""
    peers = [peer for peer in HOSTS if peer != host and _kind_of(peer) == _kind_of(host) == "portal"]
    night.now += timedelta(seconds=1)
    at = night.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    seen = [
        {"host": peer, "probes": [{**probes(peer)[-1], "name": f"{peer}: url_1", "at": at, "seconds_ms": 34}]}
        for peer in peers
    ]
    night.now += timedelta(seconds=1)
    if seen:
        night._append(host, step, "note", decision="go", seen=seen)


def _install(night: Night, host: str) -> None:
    installed = [{key: update[key] for key in ("name", "arch", "from", "to")} for update in updates(host)]
    night.step(
        host,
        "install",
        62_000 if host != "ws1" else 118_000,
        installed=installed,
        marks_equal=True,
        holds_equal=True,
        conffile_proposals=[],
    )
    reboot = host == "db1"
    restarted = [
        {"unit": unit, "reason": "its libraries were replaced (libc6, libssl3)", "how": "restart", "seconds_ms": 800}
        for unit in UNITS[_kind_of(host)]
    ]
    night.step(
        host,
        "restart",
        31_000 if reboot else 5200,
        restarted=[] if reboot else restarted,
        owed=[],
        reboot_required={"required": reboot, "reasons": ["libc6"] if reboot else []},
        rebooted=reboot,
        boot_before="5d0c1f8a",
        boot_after="9e21b7c4" if reboot else "5d0c1f8a",
    )


def _put_back(night: Night, host: str, names: tuple[str, ...] = ()) -> None:
    back = [
        {"name": one["name"], "arch": one["arch"], "from": one["to"], "to": one["from"]}
        for one in updates(host)
        if not names or one["name"] in names
    ]
    night.step(host, "install", 41_000, module="hospital.patching.update_rollback", installed=back)
    restarted = [{"unit": unit, "reason": "put back", "how": "restart"} for unit in UNITS[_kind_of(host)]]
    night.step(host, "restart", 5200, restarted=restarted, owed=[], reboot_required={"required": False, "reasons": []})
    night.step(host, "verify", 12_000, probes=probes(host), verdict="ok", findings=[])


def _finish(night: Night, host: str, outcome: str = "patched", reason: str = "25 updates installed and proven") -> None:
    if _kind_of(host) == "portal":
        night.step(host, "return", 4100, type="haproxy", host="lb1")
    else:
        night.step(host, "return", 900, type="none")
    night.outcome(host, outcome, reason)
    # Between two waves the controller prepares the next batch.
    night.now += timedelta(seconds=4)


def good_night() -> tuple[Document, list[Document]]:
    """Return plan and ledger of a night in which every host was patched."""
    the_plan = plan()
    night = Night(the_plan)
    for host in HOSTS:
        _prepare(night, host)
        _install(night, host)
        night.step(host, "verify", 14_000, probes=probes(host), verdict="ok", findings=[])
        _finish(night, host)
    return the_plan, night.close()


def witnessed_night() -> tuple[Document, list[Document]]:
    """Return a good night in which somebody looked at the other portal also after each was returned."""
    the_plan = plan()
    night = Night(the_plan)
    for host in HOSTS:
        _prepare(night, host)
        _install(night, host)
        night.step(host, "verify", 14_000, probes=probes(host), verdict="ok", findings=[])
        _finish(night, host)
        _look(night, host, "return")
    return the_plan, night.close()


WHY = "label printing fails"


def taken_back_night(names: tuple[str, ...] = (), left: str | None = None) -> tuple[Document, list[Document]]:
    """Return a good night of which a person took portal1 back three days later.

    Args:
        names: the packages that were asked for; all without any.
        left: why portal2, asked for too, was left as it was.
    """
    the_plan, records = good_night()
    night = Night(the_plan)
    night.records, night.now = records, OPENED + timedelta(days=3)
    hosts = ["portal1"] if left is None else ["portal1", "portal2"]
    asked = {"hosts": hosts, "updates": list(names), "reason": WHY}
    night._append(None, "gate", "begin", plan_digest=the_plan["digest"], started_by="akim", rollback=asked)
    night.step("portal1", "gate", 40, decision="go")
    night.step("portal1", "lock", 3100)
    _look(night, "portal1")
    night.step("portal1", "drain", 6300, type="haproxy", host="lb1")
    _put_back(night, "portal1", names)
    night.step("portal1", "return", 4100, type="haproxy", host="lb1")
    number = len(names) or 25
    night.outcome("portal1", "rolled_back", f"{number} updates taken back for akim: {WHY}")
    if left is not None:
        night.step("portal2", "gate", 40, "refused", reason=left)
    return the_plan, night.close()


def rolled_back_night() -> tuple[Document, list[Document]]:
    """Return a night in which a portal version broke on its first host and the run stopped."""
    the_plan = plan()
    night = Night(the_plan)
    _prepare(night, "ws1")
    _install(night, "ws1")
    night.step("ws1", "verify", 14_000, probes=probes("ws1"), verdict="ok", findings=[])
    _finish(night, "ws1")
    _prepare(night, "portal1")
    _install(night, "portal1")
    _break(night, "portal1")
    _put_back(night, "portal1")
    _finish(night, "portal1", "rolled_back", BROKE)
    _leave(night, ("portal2", "db1", "lb1"), STOPPED)
    return the_plan, night.close()


BROKE = (
    "host portal1: url_1: fails since the update: status 503 after 34 ms; expected 200; expected versions and health as"
    " before. Next: look at the probe named here from where users are; nothing more is changed on this host until then."
)
STOPPED = "portal1 is rolled back: the run stopped before it could harm another (failed hosts allowed: 0)"


def _break(night: Night, host: str) -> None:
    """Verify a host whose portal no longer answers well."""
    text = "fails since the update: status 503 after 34 ms; expected 200"
    broke = {"probe": "url_1", "before": "ok", "after": "failed", "finding": text, "verdict": "failed"}
    night.step(
        host,
        "verify",
        46_000,
        "failed",
        probes=probes(host, broken=True),
        verdict="failed",
        findings=[broke],
        msg=BROKE.replace("portal1", host),
    )


def undrained_night() -> tuple[Document, list[Document]]:
    """Return a night in which portal1 could be neither drained nor returned."""
    the_plan = plan()
    night = Night(the_plan)
    night.step("portal1", "gate", 40, decision="go")
    night.step("portal1", "lock", 3100)
    night.step("portal1", "health_before", 4200, probes=probes("portal1"), verdict="ok", findings=[])
    failed = "lb1: the connection was lost or never made; expected an answer from the host. Next: look at its console"
    night.step("portal1", "drain", 6300, "failed", msg=failed)
    night.step("portal1", "install", 2000, module="hospital.patching.update_rollback", installed=[], changed=False)
    night.step("portal1", "return", 4100, "failed", msg=failed)
    night.outcome("portal1", "stuck", f"{failed} Putting it back failed too: {failed}")
    _leave(night, ("portal2", "db1", "lb1", "ws1"), STOPPED)
    return the_plan, night.close()


def _leave(night: Night, hosts: tuple[str, ...], reason: str) -> None:
    """Let the gate stop hosts."""
    for host in hosts:
        night.step(host, "gate", 30, "refused", decision="stop", reason=reason)
        night.outcome(host, "not_started", reason)


def hard_night() -> tuple[Document, list[Document]]:
    """Return a night in which one portal was put back, and the other one, because one failure was allowed, is stuck."""
    the_plan = plan()
    night = Night(the_plan)
    _prepare(night, "ws1")
    _install(night, "ws1")
    night.step("ws1", "verify", 14_000, probes=probes("ws1"), verdict="ok", findings=[])
    _finish(night, "ws1")
    _prepare(night, "portal1")
    _install(night, "portal1")
    _break(night, "portal1")
    _put_back(night, "portal1")
    _finish(night, "portal1", "rolled_back", BROKE)
    _prepare(night, "portal2")
    failed = (
        "apt-get install: exit 100: clinical-portal: schema migration failed: column wards.bed exists; expected exit 0."
        " Next: read /var/lib/hospital-patching/record/apt.log on the host; run again to repair and go on, or roll this"
        " host back."
    )
    night.step("portal2", "install", 21_000, "failed", installed=[], msg=failed)
    stays = (
        "clinical-portal:all: 1.4.0 has no preserved package; expected 1.4.0, kept at stage. Next: put it back by hand,"
        " then read its health."
    )
    night.step("portal2", "install", 2000, "failed", module="hospital.patching.update_rollback", msg=stays)
    night.outcome("portal2", "stuck", f"{failed} Putting it back failed too: {stays}")
    _leave(night, ("db1", "lb1"), STOPPED.replace("rolled back:", "rolled back, portal2 is stuck:").replace("0", "1"))
    return the_plan, night.close()


NASTY = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>\x1b[2J\u202e&amp;\x00'


def hostile_night() -> tuple[Document, list[Document], dict[str, Document], Document]:
    """Return a night in which everything that a host or a repository can name tries to break out."""
    the_plan, records = rolled_back_night()
    the_plan, records = copy.deepcopy(the_plan), copy.deepcopy(records)
    update = the_plan["hosts"]["portal1"]["updates"][0]
    update.update(name=NASTY, to=NASTY, origin=NASTY, cves=[NASTY])
    update["from"] = NASTY
    the_plan["not_planned"]["pump1"]["reason"] = NASTY
    the_plan["services"]["portal"]["owner"] = NASTY
    the_plan["services"][NASTY] = the_plan["services"].pop("portal-db")
    the_plan["hosts"]["db1"]["service"] = NASTY
    for record in records:
        detail = record["detail"]
        if record["event"] == "outcome":
            detail["reason"] = NASTY * 4
        for key in ("probes", "findings", "restarted"):
            for one in detail.get(key) or []:
                one.update({name: NASTY for name in ("detail", "target", "finding", "unit", "reason") if name in one})
        if "id" in detail:
            detail["id"] = NASTY
        if "boot_before" in detail:
            detail["conffile_proposals"] = [NASTY]
        if (record["step"], record["event"]) == ("install", "done"):
            change = {"key": NASTY, "change": "changed", "line": 1, "proposed_line": 1}
            detail["conffile_merge"] = [{"file": NASTY, "proposal": NASTY, "changes": [change], "note": NASTY}]
    records[0]["detail"].update(controller=NASTY, started_by=NASTY)
    all_stages = stages()
    all_stages["portal1"]["not_preserved"] = [{"name": NASTY, "arch": "all", "version": NASTY, "reason": NASTY}]
    return (
        the_plan,
        records,
        all_stages,
        {"services": {NASTY: {"requests": 3, "failed": 1}}, "devices": {NASTY: {"connections": 2}}},
    )
