# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in the stores of the host's container engines. Asked for only on demand: an engine may take seconds.

Sources: podman-images(1) ``--format json``; the Docker Engine API's ``GET /images/json``
(its command line prints sizes and times for people); the CRI's ListImages as ``crictl images -o json``
prints it. Images of users without root are not seen.
"""

import json
import os
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.daemons import runs
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import whole
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below
from ansible_collections.hospital.patching.plugins.module_utils.software.unix_http import get_json, is_socket

TIMEOUT_S = 20


def _stamp(seconds: Any) -> Optional[str]:
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _size(value: Any) -> Optional[int]:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _image(engine: str, identity: Any, names: Any, created: Any, size: Any) -> Dict[str, Any]:
    known = names if isinstance(names, list) else []
    return {
        "engine": engine,
        "id": str(identity or "").rsplit(":", 1)[-1],
        "names": sorted(str(name) for name in known if name != "<none>:<none>"),
        "created": _stamp(created),
        "size_bytes": _size(size),
    }


def _rows(answer: Any) -> List[Dict[str, Any]]:
    """Return the answer's list of objects.

    Raises:
        ValueError: it is something else.
    """
    if answer is None:
        return []  # what an empty list becomes in Go
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise ValueError("not a list of images")
    return answer


def parse_podman(answer: Any) -> List[Dict[str, Any]]:
    """Return podman's images; before 3.0 the keys were id, names, created, size."""
    return [
        _image("podman", row.get("Id"), row.get("Names") or row.get("RepoTags"), row.get("Created"), row.get("Size"))
        for row in ({key[:1].upper() + key[1:]: value for key, value in row.items()} for row in _rows(answer))
    ]


def parse_docker(answer: Any) -> List[Dict[str, Any]]:
    """Return the Docker Engine's images."""
    return [
        _image("docker", row.get("Id"), row.get("RepoTags"), row.get("Created"), row.get("Size"))
        for row in _rows(answer)
    ]


def parse_crictl(answer: Any) -> List[Dict[str, Any]]:
    """Return the images of a CRI (containerd, CRI-O), which states no time of creation."""
    rows = _rows(answer.get("images") if isinstance(answer, dict) else answer)
    return [_image("cri", row.get("id"), row.get("repoTags"), None, row.get("size")) for row in rows]


def _installed(root: str, command: str) -> bool:
    return any(
        os.access(below(root, os.path.join(directory, command)), os.X_OK)
        for directory in ("usr/bin", "usr/local/bin", "bin")
    )


def _podman(host: Host) -> List[Dict[str, Any]]:
    if not _installed(host.root, "podman"):
        return []
    return parse_podman(json.loads(host.runner.run(["podman", "images", "--format", "json"], TIMEOUT_S).stdout))


def _docker(host: Host) -> List[Dict[str, Any]]:
    path = below(host.root, "run/docker.sock")
    # podman-docker puts a link to podman's socket here.
    if not is_socket(path) or "podman" in os.path.realpath(path):
        return []
    if not runs(host.root, "dockerd", "dockerd-current"):
        raise PatchingError(
            "images of docker",
            "its socket, but no process dockerd",
            "dockerd running",
            "start it (systemctl start docker.service), then run again, or remove it",
        )
    return parse_docker(get_json(path, "/images/json", TIMEOUT_S))


def _cri(host: Host) -> List[Dict[str, Any]]:
    sockets = ("run/containerd/containerd.sock", "run/crio/crio.sock")
    if not _installed(host.root, "crictl") or not any(is_socket(below(host.root, path)) for path in sockets):
        return []
    return parse_crictl(json.loads(host.runner.run(["crictl", "images", "-o", "json"], TIMEOUT_S).stdout))


ENGINES: Tuple[Tuple[str, Callable[[Host], List[Dict[str, Any]]]], ...] = (
    ("podman", _podman),
    ("docker", _docker),
    ("cri", _cri),
)


def collect(host: Host) -> List[Dict[str, Any]]:
    """Return ``[{engine, id, names, created, size_bytes}]``; ``[]`` where no engine is installed.

    Raises:
        PartialError: an engine does not answer; the others' images are its part.
    """
    found: List[Dict[str, Any]] = []
    problems = []
    for name, engine in ENGINES:
        try:
            found += engine(host)
        except (PatchingError, OSError, ValueError, RecursionError) as error:
            problems.append("{}: {}".format(name, error))
    # podman tells of an image once for each of its names.
    found = list({(image["engine"], image["id"]): image for image in found}.values())
    found.sort(key=lambda image: (image["engine"], image["names"], image["id"]))
    return list(whole("container images", found, problems))
