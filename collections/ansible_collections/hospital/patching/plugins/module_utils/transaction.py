# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction: what one host will do within its manifest."""

import re
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

SCHEMA = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*\Z")
_ARCH = re.compile(r"[A-Za-z0-9_-]+\Z")
#: A version begins with a letter or digit, so that it can never be read as an option.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*\Z")


def entry_kind(entry: Dict[str, Any]) -> str:
    """Return ``upgrade``, ``new_install`` or ``removal``."""
    if entry["to"] is None:
        return "removal"
    return "new_install" if entry["from"] is None else "upgrade"


def build(host: str, manager: str, manifest: Optional[str], entries: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Return the digested transaction of ``host`` with its entries in their order."""
    body = {
        "schema": SCHEMA,
        "host": host,
        "manager": manager,
        "manifest": manifest,
        "entries": sorted(entries, key=lambda entry: (entry["name"], entry["arch"])),
    }  # type: Dict[str, Any]
    body["digest"] = digest(body)
    return body


def validate(transaction: Dict[str, Any]) -> None:
    """Refuse a transaction that is damaged or was changed after it was digested.

    Raises:
        PatchingError: naming the first thing that is wrong.
    """
    what = "transaction of {}".format(transaction.get("host", "an unnamed host"))
    if transaction.get("schema") != SCHEMA:
        raise PatchingError(
            what, "schema {}".format(transaction.get("schema")), "schema {}".format(SCHEMA), "stage the host again"
        )
    body = {name: value for name, value in transaction.items() if name != "digest"}
    found = digest(body)
    if found != transaction.get("digest"):
        raise PatchingError(
            what,
            "content with {}".format(found),
            "the digest it carries, {}".format(transaction.get("digest")),
            "stage the host again; do not edit a transaction",
        )
    for entry in transaction["entries"]:
        _validate_entry(what, entry)


def _validate_entry(what: str, entry: Dict[str, Any]) -> None:
    versions = [entry.get("from"), entry.get("to")]
    good = (
        isinstance(entry.get("name"), str)
        and _NAME.match(entry["name"])
        and isinstance(entry.get("arch"), str)
        and _ARCH.match(entry["arch"])
        and any(versions)
        and all(version is None or (isinstance(version, str) and _VERSION.match(version)) for version in versions)
    )
    if not good:
        raise PatchingError(
            what,
            "the entry {!r}:{!r} {!r} to {!r}".format(entry.get("name"), entry.get("arch"), versions[0], versions[1]),
            "a package name, an architecture and versions",
            "assess and plan the host again",
        )


def short_name(transaction: Dict[str, Any]) -> str:
    """Return the first twelve hex digits of the digest, which name its folders."""
    return str(transaction["digest"]).split(":", 1)[1][:12]


def part(transaction: Dict[str, Any], names: List[str]) -> List[Dict[str, Any]]:
    """Return the entries of the packages ``names``; without any, all entries.

    Raises:
        PatchingError: a name is not in the transaction.
    """
    unknown = sorted(set(names) - {entry["name"] for entry in transaction["entries"]})
    if unknown:
        raise PatchingError(
            ", ".join(unknown),
            "not in this transaction",
            "names of its entries",
            "correct the names, or leave them out",
        )
    return [entry for entry in transaction["entries"] if not names or entry["name"] in names]


def check_within(entries: List[Dict[str, Any]], manifest: Optional[Dict[str, Any]]) -> None:
    """Refuse entries that the manifest does not allow; without a manifest all are allowed.

    Raises:
        PatchingError: naming the package, what the manifest allows and what the
            repository now gives.
    """
    if manifest is None:
        return
    allowed = {(item["name"], item["arch"]): item for item in manifest["entries"]}
    for entry in entries:
        item = allowed.get((entry["name"], entry["arch"]))
        subject = "{}:{}".format(entry["name"], entry["arch"])
        seen = "the repository now gives {} {}".format(entry_kind(entry), entry["to"] or entry["from"])
        again = "assess and plan again, so that a manifest with what the repository holds now is approved"
        if item is None:
            raise PatchingError(subject, seen, "nothing: the manifest does not name it", again)
        if (item["kind"] == "removal") != (entry["to"] is None):
            raise PatchingError(subject, seen, "manifest allows {} only".format(item["kind"]), again)
        if item.get("software") != entry.get("software"):
            raise PatchingError(
                subject, "its entry is another than the manifest's", "the entry that was approved", again
            )
        if entry["to"] is not None and item["version"] != entry["to"]:
            raise PatchingError(subject, seen, "manifest allows {}".format(item["version"]), again)
        if entry["to"] is not None and item.get("sha256") and entry["sha256"] != item["sha256"]:
            raise PatchingError(
                subject,
                "{} with SHA-256 {}".format(seen, entry["sha256"]),
                "manifest allows SHA-256 {}".format(item["sha256"]),
                "find out who rebuilt this version under the same number before anything is installed",
            )
