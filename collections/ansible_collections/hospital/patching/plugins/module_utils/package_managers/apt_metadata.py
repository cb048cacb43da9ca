# SPDX-License-Identifier: GPL-3.0-or-later
"""Private copies of apt's metadata: refreshed without touching the host's own, and removed afterwards."""

import email.utils
import glob
import os
import re
import shutil
import tempfile
import time
from datetime import timezone
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import no_room
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins

PREFIX = "hospital-patching-apt-"
#: A private directory older than this was left by a call that was killed.
ABANDONED_S = 86400
#: For how long all indexes may be fetched. A mirror that sends nothing at all, apt gives up and names by itself
#: (Acquire::http::Timeout); this is for one that sends a little all the time.
LIMIT_S = 900
#: Indexes that take part in resolving; translations, contents and icons do not.
SEEDED = ("*InRelease", "*_Release", "*_Release.gpg", "*_Packages")

#: Nothing unsigned is taken, whatever the host's own settings say, and any failed index is an error.
STRICT = [
    "APT::Update::Error-Mode=any",
    "Acquire::AllowInsecureRepositories=false",
    "Acquire::AllowDowngradeToInsecureRepositories=false",
    "APT::Get::AllowUnauthenticated=false",
    "Acquire::Languages=none",
    "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    "APT::Update::Post-Invoke-Success=",
    "APT::Update::Post-Invoke=",
    "APT::Update::Pre-Invoke=",
]
_URL = re.compile(r"https?://\S+|file:\S+|copy:\S+|cdrom:\S+|mirror\+?\S*:\S+")


def words(settings: List[str]) -> List[str]:
    """Return ``settings`` as separate ``-o`` arguments."""
    return [word for setting in settings for word in ("-o", setting)]


class AptMetadata:
    """A private lists and cache directory, as a context manager."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.directory = ""

    def __enter__(self) -> "AptMetadata":
        base = os.path.join(self.host.root, "var/tmp")
        self._remove_abandoned(base)
        try:
            self.directory = tempfile.mkdtemp(prefix=PREFIX, dir=base)
            # apt fetches as the user _apt, who must be able to pass through.
            os.chmod(self.directory, 0o711)  # noqa: S103
            for name in ("lists/partial", "cache/archives/partial"):
                os.makedirs(os.path.join(self.directory, name), mode=0o755)
        except OSError as error:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise no_room(base, str(error))
        self._seed()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def options(self) -> List[str]:
        """Return the arguments that make apt use these directories only."""
        return words(
            [
                "Dir::State::lists=" + self.path("lists"),
                "Dir::Cache=" + self.path("cache"),
                "Debug::NoLocking=1",
            ]
            + STRICT
        )

    def refresh(self) -> None:
        """Fetch what changed in the host's repositories.

        Raises:
            PatchingError: naming the repository that is unreachable, unsigned or
                gives indexes that do not belong together.
        """
        try:
            result = self.host.runner.run(
                ["apt-get", "update", "-q"] + self.options(),
                timeout_s=LIMIT_S,
                env={"DEBIAN_FRONTEND": "noninteractive"},
                check=False,
            )
        except PatchingError as error:
            raise self._slow(error)
        problems = refresh_problems(result.rc, result.stderr)
        if problems:
            raise PatchingError(
                "repository {}".format(repository_in(problems)),
                problems[0],
                "signed metadata that can be fetched",
                "repair or remove this repository in /etc/apt, then run again; nothing was changed",
            )

    def _slow(self, error: PatchingError) -> PatchingError:
        """Return the error that names the repository whose index was still coming when the time limit had passed."""
        partial = self.path("lists/partial")
        coming = sorted(name for name in os.listdir(partial) if os.path.isfile(os.path.join(partial, name)))
        if not (error.seen.startswith("no end after") and coming):
            return error
        address = coming[0].replace("_", "/")
        return PatchingError(
            "repository {}".format(address.rpartition("/dists/")[0] or address),
            "its indexes not here after {} s".format(LIMIT_S),
            "a repository that gives them within that time",
            "look at the mirror and the way to it, then run again; nothing was changed",
        )

    def repositories(self) -> List[Dict[str, Any]]:
        """Return each repository once, as apt knows it after :meth:`refresh`."""
        result = self.host.runner.run(["apt-get", "indextargets"] + self.options(), timeout_s=60)
        found: Dict[Any, Dict[str, Any]] = {}
        for target in deb822.paragraphs(result.stdout):
            if target.get("Identifier", target.get("Created-By")) != "Packages":
                continue
            where = (target.get("Repo-URI", ""), target.get("Release", ""))
            entry = found.setdefault(
                where,
                {
                    "uri": without_logins(where[0], ""),
                    "suite": target.get("Suite") or where[1],
                    "origin": target.get("Origin") or None,
                    "label": target.get("Label") or None,
                    "signed": target.get("Trusted") == "yes" and not self._taken_on_trust(target),
                    "released": release_date(target),
                    "index_files": [],
                },
            )
            entry["index_files"].append(target.get("Filename", ""))
        return [found[where] for where in sorted(found)]

    def _taken_on_trust(self, target: Dict[str, str]) -> bool:
        """Return whether the source says ``trusted=yes``: then a signature was not required."""
        path, _colon, line = target.get("Sourcesentry", "").rpartition(":")
        try:
            with open(path, "rb") as handle:
                lines = handle.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return False
        if path.endswith(".sources"):
            return any(re.match(r"\s*Trusted:\s*yes", text, re.IGNORECASE) for text in lines)
        place = int(line) - 1 if line.isdigit() else 0
        return place < len(lines) and re.search(r"\[.*trusted=yes.*\]", lines[place]) is not None

    def _seed(self) -> None:
        """Copy the host's indexes with their times, so that unchanged ones are conditional requests."""
        lists = os.path.join(self.host.root, "var/lib/apt/lists")
        for pattern in SEEDED:
            for path in glob.glob(os.path.join(lists, pattern)):
                try:
                    shutil.copy2(path, self.path("lists"))
                except OSError:
                    continue  # it vanished or is unreadable: then it is simply fetched

    @staticmethod
    def _remove_abandoned(base: str) -> None:
        for path in glob.glob(os.path.join(base, PREFIX + "*")):
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if (
                status.st_uid == os.getuid()
                and time.time() - status.st_mtime > ABANDONED_S
                and not os.path.islink(path)
            ):
                shutil.rmtree(path, ignore_errors=True)


def release_date(target: Dict[str, str]) -> Optional[str]:
    """Return the date of the Release file that an index belongs to, as UTC, or null if it states none.

    apt keeps it beside the index, under the name of the folder of both.
    """
    # The index may be kept compressed: Packages.lz4 of the key main/binary-amd64/Packages.
    stem, found, _rest = target.get("Filename", "").rpartition(target.get("MetaKey", "?").replace("/", "_"))
    for name in ("InRelease", "Release") if found else ():
        try:
            with open(stem + name, "rb") as handle:
                match = re.search(rb"^Date: (.+)$", handle.read(65536), re.MULTILINE)
            if match:
                moment = email.utils.parsedate_to_datetime(match.group(1).decode("ascii", "replace"))
                # A zone that is not stated is taken for UTC, as the specification of repositories demands.
                moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
                return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        except (OSError, ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def refresh_problems(exit_status: int, text: str) -> List[str]:
    """Return what went wrong in ``apt-get update``, the most telling line first.

    apt releases before 2.1.9 know no error mode and exit 0 when an index could
    not be fetched, so their warnings count as well.
    """
    lines = [without_logins(line.strip(), "") for line in text.splitlines()]
    errors = [line[2:].strip() for line in lines if line.startswith("E:")]
    failed = [
        line[2:].strip()
        for line in lines
        if line.startswith("W:") and re.search(r"Failed to fetch|is not signed|couldn't be verified|GPG error", line)
    ]
    if exit_status == 0:
        errors = []
    telling = [line for line in errors + failed if _URL.search(line)]
    others = [line for line in errors if line not in telling]
    if exit_status != 0 and not telling and not others:
        others = ["apt-get update ended with {}".format(exit_status)]
    return telling + others


def repository_in(problems: List[str]) -> str:
    """Return the address that the first problem names."""
    for line in problems:
        match = _URL.search(line)
        if match:
            return match.group(0).rstrip("'.,:")
    return "of this host"
