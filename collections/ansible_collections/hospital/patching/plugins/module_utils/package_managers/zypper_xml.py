# SPDX-License-Identifier: GPL-3.0-or-later
"""What zypper writes with ``--xmlout`` (its xmlout.rnc): text in, values out."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from xml.etree import ElementTree

from ansible_collections.hospital.patching.plugins.module_utils import rpm_version

#: One package of an install summary, as EVR texts; ``current`` or ``to`` may be None.
Change = NamedTuple("Change", [("name", str), ("arch", str), ("current", Optional[str]), ("to", Optional[str])])
#: A repository that is enabled; a smaller ``priority`` wins.
Repository = NamedTuple(
    "Repository", [("alias", str), ("name", str), ("uri", str), ("priority", int), ("signed", bool)]
)

#: What an install summary calls the packages that come; ``to-remove`` are those that go.
_INCOMING = (
    *("to-install", "to-upgrade", "to-downgrade", "to-reinstall", "to-change-arch"),
    *("to-upgrade-change-arch", "to-downgrade-change-arch"),
)


def parse(text: str) -> ElementTree.Element:
    """Return the document; what stands before it (a plugin's output) is passed over.

    Raises:
        ValueError: the text is not such a document.
    """
    start = text.find("<?xml")
    try:
        return ElementTree.fromstring(text[max(start, 0) :].strip())  # noqa: S314 - zypper wrote it
    except ElementTree.ParseError as error:
        raise ValueError("not XML: {}".format(error))


def errors(text: str) -> List[str]:
    """Return zypper's error messages, each on one line; empty if the text is no document."""
    try:
        document = parse(text)
    except ValueError:
        return []
    found = [message.text or "" for message in document.iter("message") if message.get("type") == "error"]
    for prompt in document.iter("prompt"):
        # What the resolver cannot solve is the description of a question, its first line before the solutions.
        found += (prompt.findtext("description") or "").strip().splitlines()[:1]
    return [" ".join(message.split()) for message in found]


def changes(document: ElementTree.Element) -> List[Change]:
    """Return the packages of the install summary, sorted by name and architecture; no patches or products."""
    found = []
    for summary in document.iter("install-summary"):
        for part in summary:
            for solvable in part.iter("solvable"):
                if solvable.get("type") != "package":
                    continue
                name, arch, edition = (solvable.get(key, "") for key in ("name", "arch", "edition"))
                if part.tag == "to-remove":
                    found.append(Change(name, arch, edition, None))
                elif part.tag in _INCOMING:
                    found.append(Change(name, arch, solvable.get("edition-old"), edition))
    return sorted(set(found), key=lambda change: (change.name, change.arch, change.to or ""))


def repositories(document: ElementTree.Element) -> List[Repository]:
    """Return the enabled repositories, the preferred first."""
    found = []
    for repo in document.iter("repo"):
        if repo.get("enabled") == "1":
            url = repo.find("url")
            priority = repo.get("priority", "")
            found.append(
                Repository(
                    repo.get("alias", ""),
                    repo.get("name", ""),
                    (url.text or "") if url is not None else "",
                    int(priority) if priority.isdigit() else 99,
                    repo.get("gpgcheck") == "1",
                )
            )
    return sorted(found, key=lambda repo: (repo.priority, repo.alias))


def held(document: ElementTree.Element) -> List[Dict[str, Any]]:
    """Return each installed package that a lock matches, from ``locks --solvables``.

    The candidate is the newest version that the same lock matches in a repository.
    """
    found: Dict[Tuple[str, str, str], Dict[str, Any]] = {}
    for lock in document.iter("lock"):
        matches = [match for match in lock.iter("match") if match.get("kind") == "package"]
        for installed in (match for match in matches if match.get("installed") == "true"):
            name, arch, version = (installed.get(key, "") for key in ("name", "arch", "edition"))
            newer = [
                match.get("edition", "")
                for match in matches
                if (match.get("name"), match.get("arch")) == (name, arch)
                and rpm_version.compare(match.get("edition", ""), version) > 0
            ]
            found[(name, arch, version)] = {
                "name": name,
                "arch": arch,
                "version": version,
                "candidate": max(newer, key=rpm_version.key) if newer else None,
                "kind": "hold",
                "reason": "zypper lock",
            }
    return [found[key] for key in sorted(found)]


def left_behind(document: ElementTree.Element, changes_found: List[Change]) -> List[Dict[str, Any]]:
    """Return what ``list-updates --all`` offers and the transaction does not reach, locked packages included."""
    reached = {(change.name, change.arch, change.to) for change in changes_found}
    gone = {(change.name, change.arch) for change in changes_found if change.to is None}
    found = []
    for update in document.iter("update"):
        name, arch, edition = (update.get(key, "") for key in ("name", "arch", "edition"))
        if update.get("kind") != "package" or (name, arch, edition) in reached or (name, arch) in gone:
            continue
        found.append(
            {
                "name": name,
                "arch": arch,
                "version": update.get("edition-old", ""),
                "candidate": edition,
                "kind": "kept_back",
                "reason": "zypper does not choose it: its dependencies, or another vendor or priority",
            }
        )
    return sorted(found, key=lambda item: (item["name"], item["arch"]))
