# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dnf host would update, resolved by dnf's own library (of dnf 4 or 5) on the system's Python."""

import os
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import pending_filters
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf_resolve_hook,
    dnf_transaction_hook,
    rpm_pending,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_hook import ask
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    room,
    seed,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

PREFIX = "hospital-patching-dnf-"
#: What is copied of the host's own cache and history. With the cache, only what changed is fetched; the history
#: knows why each package was installed, and the key rings which metadata signatures are trusted.
CACHED = ("*.solv", "*.solvx", "*-*/repodata", "*-*/pubring", "*-*/mirrorlist", "*-*/metalink.xml")
HISTORY = "history.sqlite*"
#: Of a security update that ``dnf upgrade --security`` passes over.
NOT_CHOSEN = pending_filters.Reason("not_security", "`dnf upgrade --security` does not choose it")

#: A dnf: its name as a package manager, the script that asks its library, and what of its files is copied for that,
#: ``(folder below the root, patterns, private folder)``.
Tool = NamedTuple("Tool", [("name", str), ("script", Any), ("seeds", Sequence[Tuple[str, Sequence[str], str]])])
DNF_4 = Tool("dnf", dnf_resolve_hook, (("var/cache/dnf", CACHED, "cache"), ("var/lib/dnf", (HISTORY,), "persist")))
#: The same, with the script that resolves, fetches, rehearses and performs a transaction.
DNF_4_WORK = DNF_4._replace(script=dnf_transaction_hook)


def pending(host: Host, wanted: PendingRequest, tool: Tool = DNF_4) -> Dict[str, Any]:
    """Return the shape of ``pending_updates_info``; the host keeps nothing of it.

    With ``security_only`` the whole of which the other filters take is ``dnf upgrade --security``, by dnf's own
    choice: alone, the two are the same.
    """
    now = host.clock.now()
    with room(host.root), PrivateDirectory(host.root, PREFIX) as private:
        cache, persist = private.folder("cache"), private.folder("persist")
        for source, patterns, target in tool.seeds:
            seed(os.path.join(host.root, source), patterns, os.path.join(private.path, target))
        asked = {"cachedir": cache, "persistdir": persist, "security": wanted.security_only}
        answer = ask(host, private.path, asked, tool.script)
        rpm_pending.require_repositories(answer["repositories"], "/etc/yum.repos.d")

        def described(changes: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            updates = [rpm_pending.update(change, answer["vendor"]) for change in changes]
            return [pending_filters.dated(update, wanted.first_seen, now) for update in updates]

        def resolve(updates: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            targets = [[update["name"], update["arch"], update["to"], update["origin"]] for update in updates]
            return described(ask(host, private.path, dict(asked, targets=targets), tool.script)["updates"])

        def without(updates: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
            keep = [[update["name"], update["arch"]] for update in updates]
            return described(ask(host, private.path, dict(asked, without=keep), tool.script)["updates"])

        limits = wanted._replace(security_only=False)
        updates, held = pending_filters.choose(described(answer["updates"]), limits, now, resolve, without)
    everything = described(answer["everything"])
    for update in rpm_pending.left_out(everything, updates + held):
        reason = pending_filters.limit(update, wanted, now) or pending_filters.unwanted(update, wanted) or NOT_CHOSEN
        held.append(pending_filters.held_item(update, reason))
    release = read_os_release(host.root)
    return {
        "manager": tool.name,
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
