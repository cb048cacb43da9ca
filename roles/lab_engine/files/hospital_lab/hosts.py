# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: one systemd container each, started from its image and thrown away to reset it."""

import hashlib
import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hospital_lab import keys
from hospital_lab.engine import Engine, write_if_different
from hospital_lab.errors import LabError
from hospital_lab.places import CONTAINER_PREFIX

# Tells whether a running host is the one that is wanted, also after it was put back from a snapshot.
SPEC_LABEL = "hospital-lab.spec"
# Root of a real host may see what the processes of other users run; a container's may not, unless it is given this.
CAPABILITIES = ("SYS_PTRACE",)
HOSPITAL_SOURCES = "/etc/apt/sources.list.d/hospital.sources"
LISTS_OF_HOSPITAL = "/var/lib/apt/lists/*_dists_hospital_InRelease"


class HostSpec(NamedTuple):
    """All that is needed to start a host."""

    name: str
    image: str
    network: str
    address: str
    names: dict[str, str]  # name: address, for /etc/hosts
    capabilities: list[str]
    mounts: list[str]  # "folder on this machine:folder in the host:options"
    waits_for: str  # "ssh", or "start" for what must not be connected to


def ensure_started(engine: Engine, spec: HostSpec) -> bool:
    """Start a host unless it runs as specified; whether it was started."""
    changed = keys.prepare_host(engine.places, spec.name, spec.address)
    for mount in spec.mounts:
        Path(mount.split(":")[0]).mkdir(parents=True, exist_ok=True)
    write_if_different(engine.places.spec(spec.name), json.dumps(spec._asdict(), indent=2) + "\n")
    if _runs_as_specified(engine, spec):
        return changed
    _start(engine, spec)
    return True


def reset(engine: Engine, names: list[str], images: Mapping[str, str] | None = None) -> None:
    """Throw these hosts away and start them as they were built, or from images that ``keep`` has made, all at once."""
    specs = [load(engine, name) for name in names]
    specs = [spec._replace(image=(images or {}).get(spec.name, spec.image)) for spec in specs]
    engine.remove_containers(names)
    for spec in specs:
        _run(engine, spec)
    for spec in specs:
        _settle(engine, spec)
    refresh_hospital_packages(engine, names)


def start(engine: Engine, name: str) -> None:
    """Start a host that was stopped, as it was, and wait until it serves."""
    engine.podman("start", CONTAINER_PREFIX + name)
    _settle(engine, load(engine, name))


@contextmanager
def another(engine: Engine, like: str, name: str, address: str, mounts: list[str]) -> Iterator[None]:
    """A further host for a while, from the image and on the network of one that the lab has."""
    ensure_started(engine, load(engine, like)._replace(name=name, address=address, mounts=mounts))
    try:
        yield
    finally:
        engine.remove_containers([name])
        shutil.rmtree(engine.places.spec(name).parent)


def keep(engine: Engine, names: list[str]) -> dict[str, str]:
    """Keep these hosts as they are now in one image each; the images by host, for ``reset`` and ``forget``."""
    return {name: _commit(engine, name) for name in names}


def _commit(engine: Engine, name: str) -> str:
    image = f"localhost/{CONTAINER_PREFIX}{name}:kept"
    engine.podman("commit", "--quiet", CONTAINER_PREFIX + name, image)
    return image


def forget(engine: Engine, images: Mapping[str, str]) -> None:
    """Start hosts as they were built and remove the images that ``keep`` has made of them."""
    reset(engine, list(images))
    engine.podman("rmi", "--force", *images.values(), check=False)


def load(engine: Engine, name: str) -> HostSpec:
    """How a host of this lab is started.

    Raises:
        LabError: the lab has no such host.
    """
    path = engine.places.spec(name)
    if not path.exists():
        raise LabError(f"the lab has no host {name}; `make lab` builds it")
    return HostSpec(**json.loads(path.read_text()))


def refresh_hospital_packages(engine: Engine, names: list[str], *, only_where_unknown: bool = False) -> bool:
    """Let hosts that use the hospital's own repository see what it offers now; whether any host looked.

    Args:
        only_where_unknown: leave alone a host that has read the repository before.
    """
    known = f"ls {LISTS_OF_HOSPITAL} >/dev/null 2>&1" if only_where_unknown else "false"
    script = (
        f"test -e {HOSPITAL_SOURCES} || exit 0; {known} && exit 0; echo looks; exec apt-get update --quiet "
        "-o APT::Update::Error-Mode=any -o Acquire::http::Timeout=5 -o Acquire::Retries=5 -o APT::Get::List-Cleanup=0 "
        f"-o Dir::Etc::SourceList={HOSPITAL_SOURCES} -o Dir::Etc::SourceParts=/dev/null"
    )
    outputs = [engine.podman("exec", CONTAINER_PREFIX + name, "sh", "-c", script).stdout for name in names]
    return any(output.startswith("looks") for output in outputs)


def mac_address(address: str) -> str:
    """A hardware address that stays the same when a host is started anew, so that its neighbours find it at once."""
    return ":".join(f"{number:02x}" for number in (2, 0, *(int(part) for part in address.split("."))))


def wait_for_port(address: str, port: int, timeout_s: int = 60) -> None:
    """Wait until something answers on a TCP port.

    Raises:
        LabError: nothing did.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection((address, port), timeout=2).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"{address} port {port} did not answer within {timeout_s} s: {error}") from error
            time.sleep(0.1)


def _start(engine: Engine, spec: HostSpec) -> None:
    engine.remove_containers([spec.name])
    _run(engine, spec)
    _settle(engine, spec)


def _run(engine: Engine, spec: HostSpec) -> None:
    for mount in spec.mounts:  # records of an earlier life of the host
        folder = Path(mount.split(":")[0])
        if folder == engine.places.records(spec.name):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
    words = [*_run_words(engine, spec), spec.image]
    engine.podman("run", "--detach", "--label", f"{SPEC_LABEL}={_digest(words)}", *words)


def _run_words(engine: Engine, spec: HostSpec) -> list[str]:
    names = [word for name, address in spec.names.items() for word in ("--add-host", f"{name}:{address}")]
    capabilities = [word for name in [*CAPABILITIES, *spec.capabilities] for word in ("--cap-add", name)]
    mounts = [f"{engine.places.identity(spec.name)}:/etc/hospital-lab:ro", *spec.mounts]
    return [
        *("--pull=never", "--name", CONTAINER_PREFIX + spec.name, "--hostname", spec.name),
        *("--network", spec.network, "--ip", spec.address, "--mac-address", mac_address(spec.address)),
        *("--systemd=always", "--restart=always"),
        *(*names, *capabilities),
        *(word for mount in mounts for word in ("--volume", mount)),
    ]


def _digest(words: list[str]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def _runs_as_specified(engine: Engine, spec: HostSpec) -> bool:
    found = engine.containers().get(spec.name)
    if found is None or found["State"] != "running" or not _lives(found):
        return False
    wanted = _digest([*_run_words(engine, spec), spec.image])
    return bool((found["Labels"] or {}).get(SPEC_LABEL) == wanted)


def _lives(found: Mapping[str, Any]) -> bool:
    """Whether a container's process is there; one that was killed together with its monitor is still said to run."""
    try:
        return str(found["Id"]) in Path(f"/proc/{found['Pid']}/cgroup").read_text()
    except OSError:
        return False


def _settle(engine: Engine, spec: HostSpec) -> None:
    """Wait until the host serves: systemd is done and SSH answers."""
    if spec.waits_for != "ssh":
        return
    container = CONTAINER_PREFIX + spec.name
    deadline = time.monotonic() + 60
    while True:
        state = engine.podman("exec", container, "systemctl", "is-system-running", "--wait", check=False)
        if state.stdout.strip() in ("running", "degraded"):
            break
        if time.monotonic() > deadline:
            raise LabError(f"{spec.name} did not finish starting; look at: {engine.places.engine} logs {container}")
        time.sleep(0.2)
    wait_for_port(spec.address, 22)
