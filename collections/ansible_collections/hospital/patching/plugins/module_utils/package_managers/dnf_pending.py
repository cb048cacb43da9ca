# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dnf host would update, resolved by dnf's own library on the system's Python."""

import json
import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import pending_filters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf_resolve_hook, rpm_pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import source_of
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
    seed,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

PREFIX = "hospital-patching-dnf-"
#: The Pythons that may have dnf's bindings: EL 8's own, and everyone else's.
PYTHONS = ("usr/libexec/platform-python", "usr/bin/python3")
#: What is copied of the host's own cache and history. With the cache, only what changed is fetched; the history
#: knows why each package was installed, and the key rings which metadata signatures are trusted.
CACHED = ("*.solv", "*.solvx", "*-*/repodata", "*-*/pubring", "*-*/mirrorlist", "*-*/metalink.xml")
HISTORY = "history.sqlite*"
#: Of a security update that ``dnf upgrade --security`` passes over.
NOT_CHOSEN = pending_filters.Reason("not_security", "`dnf upgrade --security` does not choose it")
MAX_ANSWER_BYTES = 64 * 1024 * 1024
#: Subject, expectation and next step of what the hook could not do, by its step.
REFUSALS = {
    "settings": (
        "/etc/dnf/dnf.conf",
        "settings that dnf can read",
        "correct what is named on the host, then run again; nothing was changed",
    ),
    "database": (
        "rpm database",
        "one that dnf can read",
        "look at `rpm --query --all` on the host, and rebuild it (rpm --rebuilddb); nothing was changed",
    ),
    "resolve": (
        "dnf upgrade",
        "a transaction that dnf can resolve",
        "repair the package state on the host (dnf check), or exclude the package that is named",
    ),
}


def pending(host: Host, wanted: PendingRequest) -> Dict[str, Any]:
    """Return the shape of ``pending_updates_info``; the host keeps nothing of it.

    With ``security_only`` the whole of which the other filters take is ``dnf upgrade --security``, by dnf's own
    choice: alone, the two are the same.
    """
    now = host.clock.now()
    with room(host.root), PrivateDirectory(host.root, PREFIX) as private:
        cache, persist = private.folder("cache"), private.folder("persist")
        seed(os.path.join(host.root, "var/cache/dnf"), CACHED, cache)
        seed(os.path.join(host.root, "var/lib/dnf"), (HISTORY,), persist)
        asked = {"cachedir": cache, "persistdir": persist, "security": wanted.security_only}
        answer = _ask(host, private.path, asked)
        rpm_pending.require_repositories(answer["repositories"], "/etc/yum.repos.d")

        def described(changes: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            updates = [rpm_pending.update(change, answer["vendor"]) for change in changes]
            return [pending_filters.dated(update, wanted.first_seen, now) for update in updates]

        def resolve(updates: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            targets = [[update["name"], update["arch"], update["to"], update["origin"]] for update in updates]
            return described(_ask(host, private.path, dict(asked, targets=targets))["updates"])

        def without(updates: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            keep = [[update["name"], update["arch"]] for update in updates]
            return described(_ask(host, private.path, dict(asked, without=keep))["updates"])

        limits = wanted._replace(security_only=False)
        updates, held = pending_filters.choose(described(answer["updates"]), limits, now, resolve, without)
    everything = described(answer["everything"])
    for update in rpm_pending.left_out(everything, updates + held):
        reason = pending_filters.limit(update, wanted, now) or pending_filters.unwanted(update, wanted) or NOT_CHOSEN
        held.append(pending_filters.held_item(update, reason))
    release = read_os_release(host.root)
    return {
        "manager": "dnf",
        "updates": [rpm_pending.finished(update) for update in updates],
        "held": [rpm_pending.held(item) for item in answer["held"]] + held,
        "problems": pending_filters.unmatched(wanted, answer.get("installed", ()), everything, updates, held),
        "refreshed": host.clock.stamp(),
        "repositories": [
            rpm_pending.repository(repo["id"], repo["name"], repo["uri"], repo["signed"])
            for repo in answer["repositories"]
        ],
        "listed": sum(1 for update in everything if update["to"] is not None),
        "facts": {"id": release["id"], "version_id": release["version_id"], "architecture": answer["arch"]},
    }


def _ask(host: Host, directory: str, asked: Dict[str, Any]) -> Dict[str, Any]:
    """Run the hook on the first Python that has dnf's bindings, and return its answer."""
    script, question = os.path.join(directory, "resolve.py"), os.path.join(directory, "asked.json")
    asked = dict(asked, answer=os.path.join(directory, "answer.json"))
    with open(script, "w", encoding="utf-8") as handle:
        handle.write(source_of(dnf_resolve_hook))
    with open(question, "w", encoding="utf-8") as handle:
        json.dump(asked, handle)
    for python in PYTHONS:
        path = os.path.join(host.root, python)
        if not os.path.exists(path):
            continue
        # -I: neither the environment nor the private directory adds modules.
        result = host.runner.run([path, "-I", script, question], timeout_s=900, check=False)
        answer = _read(asked["answer"], result.stderr)
        error = answer.get("error")
        if error is None:
            return answer
        if error["step"] != "bindings":
            raise _refused(error)
    raise _without_bindings(host)


def _read(path: str, explanation: str) -> Dict[str, Any]:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            answer = json.loads(handle.read(MAX_ANSWER_BYTES))
        os.unlink(path)
        return dict(answer)
    except (OSError, ValueError) as error:
        last = explanation.strip().splitlines()[-1:] or [str(error)]
        raise PatchingError(
            "dnf",
            "its library gave no answer ({})".format(without_logins(last[0])[:300]),
            "a rpm database and a dnf 4 that can be read",
            "look at `dnf --assumeno upgrade` on the host; nothing was changed",
        )


def _refused(error: Dict[str, Any]) -> PatchingError:
    seen = " ".join(without_logins(error["seen"]).split())[:600] or "no reason given"
    if error["step"] == "refresh":
        return PatchingError(
            "repository {}".format(error["repository"] or "of this host"),
            seen,
            "metadata that can be fetched and is signed where dnf is set to check it",
            "repair or disable this repository in /etc/yum.repos.d, then run again; nothing was changed",
        )
    subject, expected, next_step = REFUSALS[error["step"]]
    return PatchingError(subject, seen, expected, next_step)


def _without_bindings(host: Host) -> PatchingError:
    five = os.path.exists(os.path.join(host.root, "usr/bin/dnf5"))
    return PatchingError(
        "dnf",
        "dnf 5 runs this host" if five else "no system Python has dnf's bindings",
        "dnf 4 with its Python bindings (python3-dnf); dnf 5 is not supported by this release",
        "install python3-dnf, or look at the updates of this host by hand",
    )
