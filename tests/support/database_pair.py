# SPDX-License-Identifier: GPL-3.0-or-later
"""The pair of databases of the grown lab, asked past everything that stands before it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from hashlib import md5

from tests.support import lab
from tests.support.clinical import Account, account

DATABASES = ("db1", "db2")


def in_place() -> bool:
    """Whether db1 writes and db2 follows it."""
    return (state("db1"), state("db2"), streams_to("db1")) == ("writes", "follows", "db2")


def as_built() -> None:
    """Start both from their images, at once: db1 writes, db2 follows, and wait until portals reach them."""
    lab.reset(DATABASES)
    eventually(in_place, "db1 does not write, or db2 does not follow it")
    for portal in ("portal1", "portal2"):
        eventually(functools.partial(orders_work, portal), f"{portal} cannot place orders")


def eventually(condition: Callable[[], bool], otherwise: str, within_s: float = 90) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"{otherwise} within {within_s} s"
        time.sleep(0.2)


def query(host: str, statement: str, database: str = "ehr") -> str:
    """Ask PostgreSQL of a host as its own superuser; empty when it does not answer."""
    return lab.exec(
        host, f'runuser -u postgres -- psql -XAtq -d {database} -c "{statement}" 2>/dev/null', check=False
    ).strip()


def state(host: str) -> str:
    """`writes`, `follows`, or nothing when it cannot be asked."""
    return {"f": "writes", "t": "follows"}.get(query(host, "SELECT pg_is_in_recovery()"), "")


def streams_to(host: str) -> str:
    """Whom a host streams to."""
    return query(host, "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'")


def orders_work(portal: str) -> bool:
    """Whether a portal reaches the database that writes."""
    ask = "import urllib.request as u; u.urlopen('http://127.0.0.1/orders/health', timeout=5)"
    return not lab.exec(portal, f'python3 -c "{ask}" >/dev/null 2>&1 || echo no', check=False)


def orders(host: str) -> list[tuple[str, str]]:
    """Every order that a host has: id and what."""
    lines = query(host, "SELECT id, what FROM ward_order").splitlines()
    return [(name, what) for name, what in (line.split("|", 1) for line in lines)]


def messages(host: str) -> list[tuple[str, str]]:
    """Every message that a host has: control id and the MD5 of its content."""
    lines = query(host, "SELECT control_id, md5(content) FROM hl7_message").splitlines()
    return [(name, digest) for name, digest in (line.split("|", 1) for line in lines)]


def message_accounts(acknowledged: dict[str, str]) -> dict[str, Account]:
    """Hold the messages that were acknowledged against those that each of the two has."""
    digests = {name: md5(content.encode(), usedforsecurity=False).hexdigest() for name, content in acknowledged.items()}
    eventually(lambda: sorted(messages("db1")) == sorted(messages("db2")), "the two databases do not have the same")
    return {host: account(digests, messages(host)) for host in DATABASES}


def accounts(acknowledged: dict[str, str]) -> dict[str, Account]:
    """Hold what was acknowledged against what each of the two has, once one has all that the other one has."""
    eventually(lambda: orders_of("db1") == orders_of("db2"), "the two databases do not have the same orders")
    return {host: account(acknowledged, orders(host)) for host in DATABASES}


def orders_of(host: str) -> str:
    """How many orders a host has, or nothing."""
    return query(host, "SELECT count(*) FROM ward_order")
