# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a patch breaks an application whose unit stays active: each is done to a real host, and caught.

Every way is done to portal1 as a bad package would do it, read by the module that the night reads with, and judged as
the night judges. In all of them systemd says that the application is active.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.figures import Numbers
from ansible_collections.hospital.patching.plugins.plugin_utils.health import compare, fit_to_start
from tests.support import lab
from tests.support.modules import call

HOST = "portal1"
SITE = "/etc/nginx/sites-available/ehr-portal"
PROGRAM = "/usr/lib/ehr-portal/portal.py"
DROP_IN = "/etc/systemd/system/ehr-portal.service.d/bad.conf"
#: What a package brings, and so may break; copied before and put back after each way.
FILES = (SITE, PROGRAM, "/etc/nginx/nginx.conf", "/etc/ehr-portal/portal.ini", "/usr/share/ehr-portal/metadata.json")
BASE = "/root/as-it-was"
RESTART = "systemctl daemon-reload; systemctl restart ehr-portal nginx"
Results = list[dict[str, Any]]


class Way(NamedTuple):
    """What is done, and the probe that finds it.

    Args:
        outside: done to the host's file systems from outside, where the host may not mount by itself.
        wait_s: how long it takes to show.
        soak_s: how long the night would have to look.
    """

    do: str
    probe: str
    outside: str = "true"
    undo_outside: str = "true"
    wait_s: float = 0
    soak_s: int = 0


def edited(path: str, expression: str, then: str = RESTART) -> str:
    """Return a command that edits a file, which it has to change, and has it read."""
    return f"sed -i -E {shlex.quote(expression)} {path}; ! cmp -s {path} {BASE}{path}; {then}"


def dropped_in(*lines: str) -> str:
    """Return a command that changes how the application is started."""
    return f"mkdir -p $(dirname {DROP_IN}); printf '%s\\n' {shlex.join(lines)} > {DROP_IN}; {RESTART}"


WAYS = {
    "an error page with status 200": Way(
        edited(SITE, r's#^    location / \{#    location = / { return 200 "Oops"; }\n&#'), "page"
    ),
    "it answers with an error": Way(edited(SITE, r"s#^    location / \{#    location = / { return 503; }\n&#"), "page"),
    "it hangs": Way("systemctl kill --signal STOP ehr-portal", "page"),
    "it answers, far too slowly": Way(edited(PROGRAM, r"s/^( +)def do_GET.*/&\n\1    time.sleep(4)/"), "page"),
    "it dies and is started again and again": Way(
        edited(PROGRAM, r"s/^def main.*/&\n    import os\n    threading.Timer(1.5, os._exit, [3]).start()/"),
        "restarts",
        wait_s=6,
    ),
    "it does not last": Way(
        edited(
            SITE,
            r"s#proxy_pass http://127.0.0.1:8080;#proxy_next_upstream off; proxy_pass http://both;#; "
            r"$ a upstream both { server 127.0.0.1:8080 max_fails=0; server 127.0.0.1:9 max_fails=0; }",
        ),
        "page",
        soak_s=8,
    ),
    "one of its ports is not listened on": Way(edited(SITE, "/listen 443/d; /ssl_/d"), "builtin-ports"),
    "it listens on the loopback address only": Way(edited(SITE, "s/listen 443/listen 127.0.0.1:443/"), "builtin-ports"),
    "its workers are gone": Way(
        edited("/etc/nginx/nginx.conf", "s/^worker_processes.*/worker_processes 1;/"), "workers"
    ),
    "it runs as another user": Way(dropped_in("[Service]", "User=root"), "owner"),
    "it logs errors": Way(
        edited(SITE, r"s#^    location / \{#    location = /lab { proxy_pass http://127.0.0.1:9; }\n&#")
        + "; python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1/lab')\" 2>/dev/null || true",
        "errors",
    ),
    "what it would start with next time is broken": Way(
        edited(SITE, r"s#^    location / \{#    a_typing_error;\n&#", then="true"), "own-check"
    ),
    "its certificate ends soon": Way(
        "openssl x509 -req -days 2 -in /root/portal.csr -CA /root/ca.pem -CAkey /root/ca.key -CAcreateserial"
        " -extfile /root/names -out /root/short.pem 2>&1; "
        + edited(SITE, "s#/etc/hospital-lab/tls.pem#/root/short.pem#"),
        "certificate",
    ),
    "it offers another FHIR version": Way(
        edited("/usr/share/ehr-portal/metadata.json", r's/"4\.0\.1"/"5.0.0"/', then="true"), "fhir"
    ),
    "it does not find its database": Way(edited("/etc/ehr-portal/portal.ini", "s/^port = 5432/port = 9/"), "health"),
    "its data is not mounted": Way(
        "true", "builtin-mounts", "umount /srv/images", "mount --bind /etc/hospital-lab /srv/images"
    ),
    "its data is read-only": Way(
        "true", "builtin-mounts", "mount -o remount,ro,bind /srv/orders", "mount -o remount,rw,bind /srv/orders"
    ),
    "it fills the disk": Way("dd if=/dev/zero of=/srv/spool/full bs=1M status=none 2>&1 || true", "disk"),
    "it uses up the inodes": Way("cd /srv/spool; touch $(seq 1 5000) 2>&1 || true", "disk"),
}


def probes() -> list[dict[str, Any]]:
    """Return what a site would have watched of this host; pages at its own address, as from its network."""
    url = lab.url(HOST, "")
    return [
        {"name": "page", "type": "http", "url": f"{url}/", "text_regexp": "EHR portal"},
        {"name": "health", "type": "http", "url": f"{url}/health", "json_equal": {"status": "ok"}},
        {"name": "fhir", "type": "fhir", "url": url, "fhir_version": "4.0.1"},
        {"name": "certificate", "type": "tls", "host": HOST, "ca_file": "/etc/ssl/lab-and-own.pem"},
        {"name": "restarts", "type": "systemd", "units": ["ehr-portal.service", "nginx.service"], "failed_limit": 99},
        {"name": "workers", "type": "process", "program": "nginx", "at_least": 5},
        {"name": "owner", "type": "process", "program": "portal.py", "owner": "www-data"},
        {"name": "errors", "type": "log", "path": "/var/log/nginx/error.log", "line_regexp": r"\[error\]"},
        {"name": "own-check", "type": "command", "command": ["nginx", "-t"]},
        {"name": "disk", "type": "disk", "paths": ["/srv/spool"], "free_percent": 10, "inodes_free_percent": 10},
    ]


def read(since: Results = [], soak_s: int = 0) -> Results:  # noqa: B006 - never changed
    """Read the host once, as the night does."""
    found = call(
        HOST,
        "app_health_info",
        builtin=True,
        probes=probes(),
        device_segments=["10.77.66.0/24"],
        since=since,
        soak_s=soak_s,
    )
    assert "results" in found, found
    return list(found["results"])


@pytest.fixture(scope="module")
def before() -> Iterator[Results]:
    """Read portal1 while it is well."""
    lab.publish()
    lab.reset([HOST])
    lab.exec(HOST, "sed -i 's/^worker_processes.*/worker_processes 4;/' /etc/nginx/nginx.conf")
    lab.exec(HOST, "mkdir -p /srv/store /srv/images /srv/orders /srv/spool")
    lab.exec(HOST, f"mkdir -p {BASE}; cp --parents {' '.join(FILES)} {BASE}")
    lab.exec(
        HOST,
        "cd /root; openssl req -new -key /etc/hospital-lab/tls.key -subj /CN=portal1 -out portal.csr 2>&1;"
        " openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=own -keyout ca.key -out ca.pem 2>&1;"
        " echo subjectAltName=DNS:portal1 > names; cat /etc/hospital-lab/ca.pem ca.pem > /etc/ssl/lab-and-own.pem",
    )
    lab.in_mount_namespace(HOST, "mount --bind /etc/hospital-lab /srv/images")
    lab.in_mount_namespace(HOST, "mount --bind /srv/store /srv/orders")
    lab.in_mount_namespace(HOST, "mount -t tmpfs -o size=4m,nr_inodes=1000 tmpfs /srv/spool")
    mend(WAYS["it hangs"])
    found = read()
    assert fit_to_start(found, numbers=Numbers.of(1)) is None
    yield found
    lab.in_mount_namespace(HOST, "umount --lazy /srv/images /srv/orders /srv/spool || true")
    lab.reset([HOST])


def mend(way: Way) -> None:
    """Put everything back, and wait until users get an answer."""
    lab.in_mount_namespace(HOST, way.undo_outside)
    lab.exec(HOST, f"rm -rf {DROP_IN} /srv/spool/*; cp -r {BASE}/. /; systemctl kill --signal CONT ehr-portal || true")
    # What was logged belongs to the way that was undone.
    lab.exec(HOST, f"systemctl reset-failed ehr-portal || true; {RESTART}; : > /var/log/nginx/error.log")
    ask = "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1/health', timeout=5)\" 2>/dev/null"
    wait_for(lambda: lab.exec(HOST, f"{ask} && echo well || true") == "well\n")


def wait_for(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"portal1 is not as expected within {limit_s:g} s"
        time.sleep(0.2)


@pytest.mark.parametrize("name", WAYS)
def test_what_a_patch_breaks_is_caught(before: Results, name: str) -> None:
    way = WAYS[name]
    try:
        lab.exec(HOST, f"set -e; {way.do}")
        lab.in_mount_namespace(HOST, way.outside)
        time.sleep(1 + way.wait_s)
        # one that dies again and again is active in between
        wait_for(lambda: lab.exec(HOST, "systemctl is-active ehr-portal nginx", check=False) == "active\nactive\n")
        after = read(since=before, soak_s=way.soak_s)
    finally:
        mend(way)
    compared = compare(before, after, Numbers.of(3))
    assert compared.verdict == "failed", (name, after)
    assert way.probe in {one["probe"] for one in compared.findings if one["verdict"] == "failed"}, compared.findings


def test_the_host_that_was_mended_is_well_again(before: Results) -> None:
    """What the ways above have shown was theirs, and not the reading's."""
    after = read(since=before, soak_s=5)
    failed = [one for one in compare(before, after, Numbers.of(3)).findings if one["verdict"] == "failed"]
    # errors that the ways have logged, and starts of the application, which systemd counts anew
    assert {one["probe"] for one in failed} <= {"errors"}, failed
