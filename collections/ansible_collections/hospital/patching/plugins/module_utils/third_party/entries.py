# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of the setting ``patching_third_party``: read, checked, completed and put in order.

What they mean is in docs/software.md. A read entry has only the keys that were
given and no login, so that it can stand in a plan and be digested.
"""

import os
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.options import read_options
from ansible_collections.hospital.patching.plugins.module_utils.probes.registry import check as check_probe
from ansible_collections.hospital.patching.plugins.module_utils.probes.registry import targets
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party import registry

Spec = Dict[str, Any]

#: The classes of an entry, in the order of installation: what is attacked most comes first.
EXPOSURES = ("browser", "pdf", "java", "internet_facing", "business", "other")
COMMON_OPTIONS: Dict[str, Dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "required": True},
    "version": {"type": "str"},
    "absent": {"type": "bool", "default": False},
    "source": {"type": "str"},
    "sha256": {"type": "str"},
    "size_bytes": {"type": "int"},
    "download_timeout_s": {"type": "int"},
    "signature": {"type": "dict"},
    "detect": {"type": "dict"},
    "probe": {"type": "dict"},
    "not_running": {"type": "list", "elements": "str"},
    "exposure": {"type": "str", "choices": list(EXPOSURES), "default": "other"},
    "security": {"type": "bool", "default": True},
    "cves": {"type": "list", "elements": "str"},
}
_DETECT: Dict[str, Dict[str, Any]] = {
    "command": {"type": "list", "elements": "str"},
    "file": {"type": "path"},
    "pattern": {"type": "str"},
}
_SIGNATURE: Dict[str, Dict[str, Any]] = {
    "source": {"type": "str", "required": True},
    "keyring": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "signer": {"type": "str"},
}
_PREVIOUS: Dict[str, Dict[str, Any]] = {
    "version": {"type": "str", "required": True},
    "source": {"type": "str", "required": True},
    "sha256": {"type": "str", "required": True},
}
_PROBE: Dict[str, Dict[str, Any]] = {
    "command": {"type": "list", "elements": "str", "required": True},
    "pattern": {"type": "str"},
    "timeout_s": {"type": "int"},
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*\Z")
#: A version names a folder, so it has no slash, and never begins with a dot.
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_HERE = ("127.0.0.1", "::1", "localhost")


def read(given: Sequence[Any]) -> List[Spec]:
    """Return the checked entries in the order in which they are installed.

    Raises:
        PatchingError: naming the entry, what it has, and what it should have.
    """
    specs = [_read_one(entry) for entry in given]
    names = [spec["name"] for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise _bad(name, "the name is given twice", "one entry of a name")
    return sorted(specs, key=lambda spec: EXPOSURES.index(spec["exposure"]))


def check(given: Sequence[Any]) -> None:
    """Raise PatchingError unless all entries are valid; nothing is read or connected to."""
    read(given)


def _read_one(entry: Any) -> Spec:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not _NAME.match(entry["name"]):
        name = repr(entry.get("name")) if isinstance(entry, dict) else "an entry"
        raise _bad(name, "no usable name", "a mapping with a name of letters, digits and + . _ -")
    name = entry["name"]
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in registry.INSTALLERS:
        raise _bad(name, "type {!r}".format(kind), "one of {}".format(", ".join(sorted(registry.INSTALLERS))))
    installer = registry.INSTALLERS[kind]
    options = read_options(_subject(name), dict(COMMON_OPTIONS, **installer.OPTIONS), entry)
    spec = {key: value for key, value in options.items() if value is not None}
    _check_target(name, spec, installer)
    _check_detection(name, spec)
    _check_signature(name, spec)
    _check_probe(name, spec)
    if "previous" in spec:
        spec["previous"] = read_options(_subject(name) + ", previous", _PREVIOUS, spec["previous"])
        _check_file(name, spec["previous"])
    _check_words(name, spec)
    problem = installer.problem(spec)
    if problem:
        raise _bad(name, *problem)
    return spec


def _check_target(name: str, spec: Spec, installer: Any) -> None:
    for key in ("size_bytes", "download_timeout_s"):
        if spec.get(key, 1) < 1:
            raise _bad(name, "{} {}".format(key, spec[key]), "a whole number above 0")
    if spec["absent"]:
        if "version" in spec:
            raise _bad(name, "absent and version {}".format(spec["version"]), "either of them")
        return
    if not VERSION.match(spec.get("version", "")):
        raise _bad(name, "version {!r}".format(spec.get("version")), "a version without blanks and slashes")
    if installer.FETCHES:
        _check_file(name, spec)
    elif "source" in spec or "sha256" in spec:
        raise _bad(name, "a source", "none: {} fetches by itself".format(spec["type"]))


def _check_file(name: str, spec: Spec) -> None:
    _check_source(name, spec.get("source"), "source")
    if not _SHA256.match(spec.get("sha256", "")):
        raise _bad(name, "sha256 {!r}".format(spec.get("sha256")), "the 64 hex digits of the source's SHA-256")


def _check_source(name: str, source: Optional[str], what: str) -> None:
    shown = without_logins(source or "")
    try:
        parts = urlsplit(source or "")
        port = parts.port  # read for its error
    except ValueError:
        raise _bad(name, "{} {!r}, no URL".format(what, shown), "a URL, or an absolute path on the host")
    if "@" in parts.netloc:
        raise _bad(name, "a login in its {}".format(what), "the login in patching_third_party_logins, by this name")
    if os.path.isabs(source or ""):
        return
    if "?" in (source or "") or "#" in (source or ""):
        # The entry stands in the plan, which is shown, approved and kept as evidence.
        raise _bad(name, "a query in its {}".format(what), "the query in patching_third_party_logins, as ?QUERY")
    if parts.scheme not in ("http", "https") or not parts.netloc or port == 0:
        raise _bad(name, "{} {!r}".format(what, shown), "a http or https URL, or an absolute path on the host")


def _check_words(name: str, spec: Spec) -> None:
    """Refuse secrets of URLs in the entry's commands, which stand in the plan, in messages and in the process table."""
    commands = {"{}.command".format(key): spec.get(key, {}).get("command") for key in ("detect", "probe")}
    commands.update({key: spec.get(key) for key in ("install", "uninstall")})
    for what, words in sorted(commands.items()):
        if any(without_logins(word) != word for word in words or []):
            raise _bad(name, "a URL with a login or query in its {}".format(what), "a script on the host that holds it")


def _check_detection(name: str, spec: Spec) -> None:
    if "detect" not in spec:
        return
    found = read_options(_subject(name) + ", detect", _DETECT, spec["detect"])
    found = {key: value for key, value in found.items() if value is not None}
    if ("command" in found) == ("file" in found):
        raise _bad(name, "detect with {}".format(", ".join(sorted(found)) or "nothing"), "either command or file")
    if found.get("command") == []:
        raise _bad(name, "an empty detect.command", "a program and its arguments")
    _check_pattern(name, "detect.pattern", found.get("pattern", "(.+)"), 1)
    spec["detect"] = found


def _check_pattern(name: str, what: str, pattern: str, groups: int) -> None:
    try:
        has = re.compile(pattern).groups
    except re.error as error:
        raise _bad(name, "{}: {}".format(what, error), "a regular expression")
    if has < groups:
        raise _bad(name, "{} without a group".format(what), "a regular expression whose first group is the version")


def _check_signature(name: str, spec: Spec) -> None:
    if "signature" not in spec:
        return
    found = read_options(_subject(name) + ", signature", _SIGNATURE, spec["signature"])
    found = {key: value for key, value in found.items() if value is not None}
    _check_source(name, found["source"], "signature's source")
    if ("keyring" in found) == ("allowed_signers" in found) or ("signer" in found) != ("allowed_signers" in found):
        raise _bad(
            name,
            "a signature with {}".format(", ".join(sorted(found))),
            "keyring (OpenPGP), or allowed_signers and signer (SSH)",
        )
    spec["signature"] = found


def _check_probe(name: str, spec: Spec) -> None:
    if "probe" not in spec:
        return
    if "type" not in spec["probe"]:
        found = read_options(_subject(name) + ", probe", _PROBE, spec["probe"])
        spec["probe"] = {key: value for key, value in found.items() if value is not None}
        if not spec["probe"]["command"]:
            raise _bad(name, "a probe with an empty command", "the command's words")
        _check_pattern(name, "probe.pattern", spec["probe"].get("pattern", "").replace("{version}", "1"), 0)
        return
    probe = dict(spec["probe"], name=spec["probe"].get("name", name))
    check_probe(probe)
    elsewhere = [host for host, _port in targets(probe) if host not in _HERE]
    if elsewhere:
        raise _bad(name, "a probe of {}".format(elsewhere[0]), "one of this host itself; others go to patching_probes")
    spec["probe"] = probe


def ranked(specs: Sequence[Spec]) -> List[Tuple[int, Spec]]:
    """Return entries as :func:`read` gave them, each with its place in the order of installation."""
    return list(enumerate(specs, 1))


def _subject(name: str) -> str:
    return "software {}".format(name)


def _bad(name: str, seen: str, expected: str) -> PatchingError:
    return PatchingError(_subject(name), seen, expected, "correct patching_third_party in the inventory")
