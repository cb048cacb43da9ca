# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked and recorded when a run begins."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import controllers

BY_DIGEST = "started with the plan's digest"
LONGEST_NAME = 200
#: Who has launched a job, as AWX hands it over.
AWX_USER = ("awx_user_name", "tower_user_name")


def require_whole_run(plan: dict[str, Any], limit: str | None) -> None:
    """Refuse ``--limit``: it takes hosts out of batches and so shifts every later wave."""
    if limit:
        raise PatchingError(
            f"plan {plan['plan_id']}",
            f"--limit {limit}",
            "the whole plan, because a limit shifts hosts between waves",
            "start again without --limit; to leave hosts out, derive a plan without them:"
            f" plan.yml -e plan_from={plan['digest']} -e plan_drop=HOST",
        )


def require_digest(plan: Mapping[str, Any], reference: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to begin a run by anything but its plan's digest: naming that is the approval of tiers 3 and 4.

    A run that was begun so may be continued by its id.

    Raises:
        PatchingError: it was never begun by its digest, and is not now.
    """
    begun = any(
        record["host"] is None
        and (record["step"], record["event"]) == ("gate", "begin")
        and record["detail"].get("approval") == BY_DIGEST
        for record in records
    )
    if reference != plan["digest"] and not begun:
        raise PatchingError(
            f"plan {plan['plan_id']}",
            f"started with {reference}",
            "its digest, with which whoever starts it approves what it says",
            f"read the plan, then start with -e patching_plan={plan['digest']}",
        )


def circumstances(plan: dict[str, Any], reference: str, approved_by: str = "") -> dict[str, Any]:
    """Return who started what from where; names are claims and prove nothing.

    Args:
        approved_by: a name that was typed. It is kept for the auditor; what needs a signature gets none by it.
    """
    by_digest = reference == plan["digest"]
    return {
        "plan_digest": plan["digest"],
        "approval": BY_DIGEST if by_digest else f"started with {reference}, not with a digest",
        "claimed": " ".join(approved_by.split())[:LONGEST_NAME] or None,
        "started_by": user(),
        **({"emergency": plan["emergency"]} if plan.get("emergency") else {}),
        **controllers.this_process(),
    }


def user(variables: Mapping[str, Any] | None = None) -> str:
    """Return who works here, behind sudo and AWX too; a claim that proves nothing.

    Args:
        variables: of the play, where a job of AWX has who launched it.
    """
    launched = next((variables[name] for name in AWX_USER if (variables or {}).get(name)), None) if variables else None
    if launched:
        return str(launched)
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def asker() -> str:
    """Return who asks, and from which machine."""
    return f"{user()}@{socket.gethostname()}"
