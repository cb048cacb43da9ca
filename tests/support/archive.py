# SPDX-License-Identifier: GPL-3.0-or-later
"""The two nodes of the grown lab's archive of images, asked past everything that stands before them."""

from __future__ import annotations

import functools
import urllib.request

from tests.support import database_pair, lab
from tests.support.clinical import Account, account
from tests.support.database_pair import eventually
from tests.support.imaging import instances

NODES = ("pacs1", "pacs2")
BALANCERS = ("lb1", "lb2")
#: What a load balancer has to say of both nodes.
BACKENDS = ("pacs", "pacs_http", "pacs_index")


def url(node: str, path: str = "") -> str:
    """The address of a page of a node."""
    return f"http://{lab.address(node)}:8042{path}"


def reaches_its_index(node: str) -> bool:
    """Whether a node answers a page for which it asks the database."""
    try:
        with urllib.request.urlopen(url(node, "/system"), timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def in_place() -> bool:
    """Whether both nodes serve, and users are sent to both by both load balancers."""
    return all(map(reaches_its_index, NODES)) and all(map(sends_users, BALANCERS))


def sends_users(balancer: str) -> bool:
    """Whether a load balancer says that both nodes are up."""
    try:
        with urllib.request.urlopen(f"http://{lab.address(balancer)}:8404/;csv", timeout=10) as answer:
            rows = [line.split(",") for line in answer.read().decode().splitlines()]
    except OSError:
        return False
    up = {(row[0], row[1]) for row in rows if len(row) > lab.STATUS and row[lab.STATUS] == "UP"}
    return up >= {(backend, node) for backend in BACKENDS for node in NODES}


def as_built() -> None:
    """Start both from their images, with an empty index and an empty folder of images."""
    for node in NODES:
        lab.exec(node, "systemctl stop orthanc", check=False)
    lab.exec(NODES[0], "rm -rf /srv/pacs/images", check=False)
    writes = next(host for host in database_pair.DATABASES if database_pair.state(host) == "writes")
    for statement in ("DROP DATABASE IF EXISTS pacs WITH (FORCE)", "CREATE DATABASE pacs OWNER pacs"):
        database_pair.query(writes, statement, "postgres")
    lab.reset(NODES)
    eventually(in_place, "the archive's nodes do not serve, or nobody is sent to them", within_s=180)


def accounts(acknowledged: dict[str, str]) -> dict[str, Account]:
    """Hold the images that were acknowledged against those that each node lists, as their files show them."""
    for node in NODES:
        eventually(functools.partial(reaches_its_index, node), f"{node} does not reach its index")
    return {node: account(acknowledged, instances(url(node))) for node in NODES}
