# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``container``: a container committed to an image, with podman or docker.

What a commit holds is the container's own file system. Volumes are outside it.
Run, host, reason and expiry are labels of the image; its id is the identity.
"""

import json
import os
import re
from typing import Any, Callable, Dict, List, Optional
from urllib.parse import quote, unquote

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NO_SUCH,
    Loss,
    Room,
    Snapshot,
    SnapshotProvider,
)

LABEL = "hospital.patching."
#: Committing copies the container's writable layer; nothing else in here takes minutes.
COMMIT_LIMIT_S = 1800
#: An engine that lists images fails when another run deletes one meanwhile; it is asked again after these pauses.
LISTING_PAUSES_S = (1, 2, 4)


def free_bytes(path: str) -> int:
    """Return the bytes that root may still write on the file system of ``path``."""
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize


def size_bytes(path: str) -> int:
    """Return the size of the file system of ``path``."""
    state = os.statvfs(path)
    return state.f_blocks * state.f_frsize


class ContainerProvider(SnapshotProvider):
    """Runs where the container engine is; ``engine`` is its command line's first words."""

    NAME = "container"
    MAKES = True
    FROM_OUTSIDE = True
    OPTIONS = {
        "engine": {"type": "list", "elements": "str", "default": ["podman"]},
        "container": {"type": "str"},
        "pause": {"type": "bool", "default": True},
        "min_free_bytes": {"type": "int", "default": 1024 * 1024 * 1024},
    }

    def __init__(
        self,
        options: Dict[str, Any],
        runner: Runner,
        clock: Clock,
        free: Callable[[str], int] = free_bytes,
        size: Callable[[str], int] = size_bytes,
    ) -> None:
        super().__init__(options, runner, clock)
        self.free = free
        self.size = size

    def available(self, host: str) -> Optional[str]:
        container = self._container(host)
        if container is None:
            return "there is no container {}".format(self.options["container"] or host)
        root = self._store()
        needed = self.options["min_free_bytes"] + container["written_bytes"]
        free = self.free(root)
        if free < needed:
            return "{} has {} bytes free, the snapshot needs {}".format(root, free, needed)
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        refusal = self.available(host)
        if refusal:
            raise PatchingError(
                "host {}".format(host),
                refusal,
                "a container with room for its snapshot",
                "correct patching_snapshot, or free space by deleting expired snapshots",
            )
        labels = {"run_id": run_id, "host": host, "reason": reason, "expires": expires, "created": self.clock.stamp()}
        command = ["commit", "--pause={}".format("true" if self.options["pause"] else "false")]
        for key, value in sorted(labels.items()):
            command += ["--change", 'LABEL {}{}="{}"'.format(LABEL, key, _guarded(value))]
        # Named, because engines sweep images without a name; the id is the identity. Each name is given once: an engine
        # that goes on with the commit of a killed caller would else take the name from the next one's, or lose it.
        name = "{}-{}".format(self._image_name(run_id, host), os.urandom(4).hex())
        command += [self.options["container"] or host, name]
        self._engine(command, timeout_s=COMMIT_LIMIT_S)
        made = self.present(run_id, host)
        if made is None:
            raise PatchingError(
                "host {}".format(host),
                "a commit that left no image with this run's labels",
                "an image labelled with run and host",
                "look at `{} images`; the container engine may not keep labels".format(self.options["engine"][0]),
            )
        return made

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        found = []
        for image in self._labelled_images():
            labels = image.get("Labels") or (image.get("Config") or {}).get("Labels") or {}
            mine = {
                key: unquote(labels.get(LABEL + key, "")) for key in ("run_id", "host", "reason", "created", "expires")
            }
            names = list(image.get("RepoTags") or [])
            # Somebody else's image of a reverted container inherits our labels, but not our name.
            if not any(self._is_ours(name, mine["run_id"], mine["host"]) for name in names):
                continue
            if (run_id is None or mine["run_id"] == run_id) and (host is None or mine["host"] == host):
                detail = {"size_bytes": int(image.get("Size") or 0), "names": names}
                found.append(Snapshot(id=_plain(image["Id"]), provider=self.NAME, detail=detail, **mine))
        return sorted(found, key=lambda snapshot: (snapshot.created, snapshot.id))

    def rooms(self) -> List[Room]:
        store = self._store()
        return [Room("file system", store, self.size(store), self.free(store))]

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """Return by how much the container's writable layer has grown since it was committed."""
        image = next((one for one in self._labelled_images() if _plain(one["Id"]) == snapshot_id), None)
        shown = self._inspect(self.options["container"] or host)
        if image is None:
            return NO_SUCH
        if shown is None or not shown.get("Image") or shown.get("SizeRw") is None:
            return Loss(None, "the engine does not tell how large the container's own layer is")
        base = json.loads(self._engine(["image", "inspect", shown["Image"]]))[0]
        # What the container had written by then is what its image has more than the one it was created from.
        grown = int(shown["SizeRw"]) - (int(image.get("Size") or 0) - int(base.get("Size") or 0))
        return Loss(max(grown, 0), "files that were overwritten count only by what they have grown")

    def _labelled_images(self) -> List[Dict[str, Any]]:
        for pause in LISTING_PAUSES_S:
            try:
                return self._labelled_images_now()
            except PatchingError:
                self.clock.sleep(pause)
        return self._labelled_images_now()

    def _labelled_images_now(self) -> List[Dict[str, Any]]:
        command = ["images", "--quiet", "--no-trunc", "--filter", "label={}run_id".format(LABEL)]
        ids = sorted(set(self._engine(command).split()))
        return list(json.loads(self._engine(["image", "inspect"] + ids))) if ids else []

    def delete(self, snapshot_id: str) -> bool:
        if snapshot_id not in [snapshot.id for snapshot in self.list()]:
            return False
        # Without --force: an image that a reverted container runs from is refused by the engine, and should be.
        self._engine(["image", "rm", snapshot_id])
        return True

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Recreate the container from the image, by the command that created it.

        The container that is replaced is kept, stopped, under the name that is
        returned, until a person or the retention removes it.
        """
        name = self.options["container"] or host
        shown = self._inspect(name)
        if shown is None:
            raise PatchingError(
                "container {}".format(name), "no such container", "the container to revert", "create it from the image"
            )
        command = self._recreation(name, shown, snapshot_id)
        kept = "{}-before-revert-{}".format(name, self.clock.now().strftime("%Y%m%dT%H%M%SZ"))
        self._engine(["stop", "--time", "30", name], timeout_s=120)
        self._engine(["rename", name, kept])
        try:
            self._engine(command, timeout_s=300)
        except PatchingError:
            self._put_back(name, kept)
            raise
        return {"container": name, "image": snapshot_id, "kept": kept}

    def _put_back(self, name: str, kept: str) -> None:
        """After a failed start of the reverted container the old one runs again, broken or not."""
        self._engine(["rm", "--force", name], check=False)
        self._engine(["rename", kept, name])
        self._engine(["start", name])

    def _recreation(self, name: str, shown: Dict[str, Any], snapshot_id: str) -> List[str]:
        words = list((shown.get("Config") or {}).get("CreateCommand") or [])
        image = shown.get("ImageName") or ""
        # One that was reverted before was created from an image's id, whatever its name is shown as.
        known = (image, _short(image), _plain(str(shown.get("Image") or image)))
        places = [number for number, word in enumerate(words) if word in known]
        start = next((number for number, word in enumerate(words) if word in ("run", "create")), None)
        if start is None or len(places) != 1:
            raise PatchingError(
                "container {}".format(name),
                "a creation command in which the image {!r} is not found once".format(image),
                "a container created by `podman run` or `podman create`",
                "recreate it by hand from the image {}".format(snapshot_id),
            )
        words[places[0]] = snapshot_id
        # Global options come from `engine`; the verb and what follows from how it was created.
        return words[start:]

    def _container(self, host: str) -> Optional[Dict[str, Any]]:
        shown = self._inspect(self.options["container"] or host)
        return None if shown is None else {"id": shown["Id"], "written_bytes": int(shown.get("SizeRw") or 0)}

    def _inspect(self, name: str) -> Optional[Dict[str, Any]]:
        listed = self._engine(["ps", "--all", "--no-trunc", "--format", "{{.Names}}"]).split()
        if name not in listed:
            return None
        return dict(json.loads(self._engine(["container", "inspect", "--size", name]))[0])

    def _store(self) -> str:
        """Return the directory in which the engine keeps images; both engines' answers are known."""
        facts = json.loads(self._engine(["info", "--format", "{{json .}}"]))
        store = (facts.get("store") or {}).get("graphRoot") or facts.get("DockerRootDir")
        if not store:
            raise PatchingError(
                "container engine {}".format(self.options["engine"][0]),
                "an answer without graphRoot or DockerRootDir",
                "podman or docker",
                "correct engine in patching_snapshot",
            )
        return str(store)

    @staticmethod
    def _image_name(run_id: str, host: str) -> str:
        """Repositories are lower case; a tag takes letters of both cases."""
        return "localhost/hospital-patching/{}:{}".format(re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-"), run_id)

    def _is_ours(self, name: str, run_id: str, host: str) -> bool:
        begin = self._image_name(run_id, host)
        return name.startswith(begin) and re.match(r"(-[0-9a-f]{8})?\Z", name[len(begin) :]) is not None

    def _engine(self, words: List[str], timeout_s: int = 120, check: bool = True) -> str:
        return self.runner.run(list(self.options["engine"]) + words, timeout_s=timeout_s, check=check).stdout


def _guarded(value: str) -> str:
    """Return ``value`` for a quoted LABEL: podman and docker differ in what a backslash or a dollar means there."""
    return quote(value, safe=" !#&'()*+,-./:;<=>?@[]^_`{|}~")


def _plain(image_id: str) -> str:
    return image_id if image_id.startswith("sha256:") else "sha256:" + image_id


def _short(image: str) -> str:
    """podman completes an image's name; the creation command has what was typed."""
    return image[len("localhost/") :] if image.startswith("localhost/") else image
