# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line ``snapper``, by its JSON (snapper(8)), and what is written into a snapshot's userdata."""

import json
import os
import re
from typing import Any, Dict, List, NamedTuple
from urllib.parse import quote

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: Key of userdata whose value names the set that a snapshot belongs to.
OURS = "hospital-patching"
#: It waits for a commit, which a busy disk holds up, and its plugins run meanwhile.
CHANGE_LIMIT_S = 600
DESCRIPTION_CHARS = 160

#: A snapshot of one config; snapper gives the number of one that was deleted again.
Listed = NamedTuple("Listed", [("number", int), ("userdata", Dict[str, str])])


class Snapper:
    """The commands; ``words`` are the command line's first, such as ``snapper --no-dbus``."""

    def __init__(self, runner: Runner, words: List[str]) -> None:
        self.runner = runner
        self.words = words

    def subvolume(self, config: str) -> str:
        """Return where the subvolume of ``config`` is mounted.

        Raises:
            PatchingError: there is no such config, or it is of another file system than btrfs.
        """
        found = self._json(["-c", config, "get-config"])
        place, kind = found.get("SUBVOLUME"), found.get("FSTYPE")
        if kind != "btrfs":
            raise PatchingError(
                "snapper's config {}".format(config),
                "its FSTYPE is {!r}".format(kind),
                "btrfs",
                "choose another snapshot provider, such as lvm",
            )
        if not isinstance(place, str) or not place.startswith("/"):
            raise _unknown("get-config")
        return os.path.normpath(place)

    def listed(self, config: str) -> List[Listed]:
        """Return the snapshots of ``config`` that have userdata."""
        found = self._json(["-c", config, "list", "--disable-used-space", "--columns", "number,userdata"]).get(config)
        if not isinstance(found, list):
            raise _unknown("list")
        return [Listed(int(one["number"]), one["userdata"]) for one in found if one.get("userdata")]

    def create(self, config: str, description: str, userdata: Dict[str, str]) -> int:
        """Make a read-only snapshot that snapper's own cleanups leave alone, and return its number."""
        said = ",".join("{}={}".format(key, quote(value, safe="")) for key, value in userdata.items())
        shown = re.sub(r"[\x00-\x1f\x7f]", " ", description)[:DESCRIPTION_CHARS]
        words = ["--type", "single", "--cleanup-algorithm", "", "--description", shown, "--userdata", said]
        printed = self._run(["-c", config, "create", "--print-number"] + words, CHANGE_LIMIT_S).strip()
        if not printed.isdigit():
            raise _unknown("create --print-number")
        return int(printed)

    def delete(self, config: str, number: int) -> None:
        self._run(["-c", config, "delete", str(number)], CHANGE_LIMIT_S)

    def _json(self, words: List[str]) -> Dict[str, Any]:
        try:
            found = json.loads(self._run(["--jsonout"] + words))
        except ValueError:
            raise _unknown(words[2])
        if not isinstance(found, dict):
            raise _unknown(words[2])
        return found

    def _run(self, words: List[str], timeout_s: int = 120) -> str:
        return self.runner.run(self.words + words, timeout_s=timeout_s).stdout


def _unknown(command: str) -> PatchingError:
    return PatchingError(
        "snapper {}".format(command),
        "an answer of another form",
        "that of snapper 0.8.9 or later",
        "report it, or choose the provider btrfs",
    )
