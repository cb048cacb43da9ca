# SPDX-License-Identifier: GPL-3.0-or-later
"""Container engines, and whether their upgrade restarts what runs in containers."""

import json
from typing import List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    INFORMS,
    RESTARTS,
    UNKNOWN,
    Entry,
    Look,
    Program,
    entry,
    find,
)

#: Docker's own setting that keeps containers running while its daemon is down (docs.docker.com, "Live restore").
_DOCKER_SETTINGS = "etc/docker/daemon.json"

ENGINES: Tuple[Program, ...] = (
    Program("docker", ["docker.service"], ["usr/bin/dockerd"], RESTARTS, "an upgrade restarts every container"),
    Program(
        "docker (snap)", ["snap.docker.dockerd.service"], [], RESTARTS, "a refresh by snapd restarts every container"
    ),
    Program("containerd", ["containerd.service"], [], INFORMS, "containers outlive a restart of the daemon"),
    Program("cri-o", ["crio.service"], ["usr/bin/crio"], INFORMS, "containers outlive a restart of the daemon"),
    Program("podman", [], ["usr/bin/podman"], INFORMS, "no daemon: containers keep running on the old version"),
    Program(
        "podman auto-update", ["podman-auto-update.timer"], [], RESTARTS, "pulls newer images and restarts their units"
    ),
    Program("LXD / Incus", ["lxd.service", "incus.service", "snap.lxd.daemon.service"], [], INFORMS, "containers stay"),
    Program(
        "libvirt", ["libvirtd.service", "virtqemud.service"], ["usr/sbin/libvirtd"], INFORMS, "guests keep running"
    ),
)


def collect(look: Look) -> List[Entry]:
    """Return the engines of the table that are on this host."""
    found = find(look, "container_engine", ENGINES)
    docker = [item for item in found if item["name"] == "docker"]
    try:
        if docker and live_restore(look):
            docker[0].update(effect=INFORMS, detail="live-restore is on: containers keep running during an upgrade")
    except (OSError, ValueError, RecursionError) as error:
        found.append(
            entry("container_engine", "/" + _DOCKER_SETTINGS, "live-restore is not known: {}".format(error), UNKNOWN)
        )
    return found


def live_restore(look: Look) -> bool:
    """Return whether docker keeps containers running; a daemon.json that is no JSON is a ValueError."""
    settings = json.loads(look.text(_DOCKER_SETTINGS) or "{}")
    return isinstance(settings, dict) and settings.get("live-restore") is True
