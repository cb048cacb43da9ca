# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab hospital, as the tests and the demonstration use it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "roles/lab_engine/files"))

from hospital_lab import hosts, java_archives, repository  # noqa: E402
from hospital_lab.engine import Engine  # noqa: E402
from hospital_lab.errors import LabError  # noqa: E402
from hospital_lab.packages import PortalVersion  # noqa: E402
from hospital_lab.places import CONTAINER_PREFIX, from_environment  # noqa: E402

__all__ = [
    "LabError",
    "PortalVersion",
    "address",
    "ca_certificate",
    "clear_pump_connections",
    "container",
    "cut_off",
    "exec",
    "extra_host",
    "folder",
    "in_mount_namespace",
    "in_network_namespace",
    "in_service",
    "java_runtimes",
    "kept",
    "publish",
    "pump_connections",
    "remove",
    "reset",
    "start",
    "starts",
    "stop",
    "up",
    "url",
    "write",
]

#: Says a command to the load balancer and prints its answer.
SAY = """
import socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect('/run/haproxy/admin.sock')
asked.sendall(sys.argv[1].encode() + b'\\n')
print(b''.join(iter(lambda: asked.recv(65536), b'')).decode())
"""
#: The place of a server's status in a line of ``show stat``.
STATUS = 17
#: The hosts behind it.
PORTALS = ("portal1", "portal2")

PACKAGE_SOURCE = ROOT / "roles/lab_portal/files/package"


def up(*further: str) -> None:
    """Build and start the lab, with the hosts of further inventories; seconds when it already runs."""
    ansible_playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    given = [word for name in ("lab", *further) for word in ("-i", f"inventories/{name}/hosts.yml")]
    subprocess.run([ansible_playbook, *given, "playbooks/lab_up.yml"], cwd=ROOT, check=True)


def remove(names: Iterable[str]) -> None:
    """Take hosts away that the lab itself does not have."""
    _engine().remove_containers(list(names))


def reset(names: Iterable[str], images: Mapping[str, str] | None = None) -> None:
    """Start these hosts anew from their images, all at once, and wait until users reach them again.

    What the repository offers stays.
    """
    wanted = list(names)
    hosts.reset(_engine(), wanted, images)
    for name in wanted:
        if name in PORTALS:
            _serve_again(name)


def _serve_again(host: str, limit_s: int = 60) -> None:
    """Undo a drain that a test has left, and wait."""
    _load_balancer(f"set server portal/{host} state ready")
    deadline = time.monotonic() + limit_s
    while not in_service(host):
        assert time.monotonic() < deadline, f"lb1 does not send users to {host} within {limit_s} s of its start"
        time.sleep(0.1)


def _load_balancer(command: str) -> str:
    return exec("lb1", f"python3 -c {shlex.quote(SAY)} {shlex.quote(command)}")


def folder() -> Path:
    """Where the lab keeps its keys, its image store and its repository."""
    return from_environment().lab_dir


@contextmanager
def extra_host(name: str, mounts: Iterable[str], like: str = "mirror1") -> Iterator[None]:
    """Start one more host like another for a while, with folders of this machine: "folder:folder[:ro]"."""
    with hosts.another(_engine(), like, name, "10.77.10.91", list(mounts)):
        yield


@contextmanager
def kept(names: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """Keep these hosts as they are, in images for ``reset``; afterwards they are as they were built."""
    images = hosts.keep(_engine(), list(names))
    try:
        yield images
    finally:
        hosts.forget(_engine(), images)


def starts(host: str) -> int:
    """How often a host has started again since it was reset."""
    return int(_engine().podman("inspect", "--format", "{{.RestartCount}}", container(host)).stdout)


def stop(host: str) -> None:
    """Take a host away, as a power failure would; ``start`` or ``reset`` brings it back."""
    _engine().podman("stop", "--time", "0", container(host))


def start(host: str) -> None:
    """Start a host that was taken away, as it was, and wait until it serves."""
    hosts.start(_engine(), host)


def exec(host: str, command: str, *, check: bool = True) -> str:  # noqa: A001 - as podman calls it
    """Run a shell command in a host as root, past SSH and Ansible, and return what it printed."""
    return _engine().podman("exec", container(host), "sh", "-c", command, check=check).stdout


def write(host: str, path: str, text: str) -> None:
    """Write a file in a host as root, past SSH and Ansible."""
    exec(host, f"printf '%s' {shlex.quote(text)} > {shlex.quote(path)}")


def in_mount_namespace(host: str, command: str) -> None:
    """Run a shell command of this machine with a host's file systems: a host may not mount by itself."""
    _in_namespace(host, "--mount", command)


def cut_off(host: str) -> None:
    """Leave a host no way to any repository, by name or address; this machine still reaches it. Until its reset."""
    _in_namespace(host, "--net", f"ip route del default; ip route add unreachable {address('mirror1')}")


def _in_namespace(host: str, kind: str, command: str) -> None:
    pid = _engine().podman("inspect", "--format", "{{.State.Pid}}", container(host)).stdout.strip()
    subprocess.run(["nsenter", "--target", pid, kind, "sh", "-c", command], check=True)


def in_network_namespace(host: str, command: str) -> None:
    """Run a shell command of this machine with a host's network: a host may not change it by itself."""
    pid = _engine().podman("inspect", "--format", "{{.State.Pid}}", container(host)).stdout.strip()
    subprocess.run(["nsenter", "--target", pid, "--net", "sh", "-c", command], check=True)


def in_service(host: str) -> bool:
    """Ask the load balancer itself whether it sends users to a portal host."""
    line = next(line for line in _load_balancer("show stat").splitlines() if line.startswith(f"portal,{host},"))
    return line.split(",")[STATUS] == "UP"


def address(host: str) -> str:
    """A host's address."""
    return hosts.load(_engine(), host).address


def url(host: str, path: str = "/") -> str:
    """The address of a page of a host."""
    return f"http://{address(host)}{path}"


def ca_certificate() -> Path:
    """The certificate of the authority that has signed the lab's certificates."""
    return from_environment().ca_certificate


def container(host: str) -> str:
    """The name of a host's container."""
    return CONTAINER_PREFIX + host


def pump_connections(host: str = "pump1") -> list[dict[str, Any]]:
    """Every packet that the device was sent since it started: time, source, protocol, port, syn."""
    log = from_environment().records(host) / "connections.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()]


def clear_pump_connections(host: str = "pump1") -> None:
    """Forget what the device has recorded, after a test that contacted it on purpose."""
    (from_environment().records(host) / "connections.jsonl").write_text("")


def publish(
    *versions: PortalVersion,
    signed: bool = True,
    by_a_stranger: bool = False,
    expired: bool = False,
    wrong_checksums: Collection[str] = (),
    truncated: Collection[str] = (),
    refresh: Iterable[str] = (),
) -> None:
    """Make the hospital's repository offer exactly these versions of ehr-portal, or a new lab's without any.

    Args:
        versions: PortalVersion(version, variant); the variants are in hospital_lab/packages.py.
        signed: False leaves the repository's signature out.
        by_a_stranger: True signs it with a key that no host knows.
        expired: True offers an index that was to be used until yesterday only.
        wrong_checksums: versions whose package is not what the index announces.
        truncated: versions of whose package the second half is missing.
        refresh: hosts whose package lists are brought up to date.
    """
    places = from_environment()
    offered = versions or repository.INITIAL
    repository.publish(
        places,
        PACKAGE_SOURCE,
        offered,
        signed=signed,
        by_a_stranger=by_a_stranger,
        expired=expired,
        wrong_checksums=wrong_checksums,
        truncated=truncated,
    )
    hosts.refresh_hospital_packages(Engine(places), list(refresh))


def java_runtimes() -> list[dict[str, str]]:
    """Return two versions of a Java runtime, the older first: version, sha256 and source; made when first asked for."""
    places = from_environment()
    engine = Engine(places)

    def copy(path: str, target: Path) -> None:
        engine.podman("cp", f"{container('ws1')}:{path}", target)
        target.chmod(0o644)

    found = java_archives.made(places) or java_archives.make(places, lambda script: exec("ws1", script), copy)
    return [{**one, "source": url("mirror1", f"/software/java-{one['version']}.tar.gz")} for one in found]


def _engine() -> Engine:
    return Engine(from_environment())
