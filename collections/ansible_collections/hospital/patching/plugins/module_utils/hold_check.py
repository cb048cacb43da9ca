# SPDX-License-Identifier: GPL-3.0-or-later
"""No run works on a host that another run holds."""

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal


def refuse_other_holder(journal: Journal, run_id: str) -> None:
    """Return when the host is held by ``run_id`` or by none.

    Raises:
        PatchingError: naming the run that holds it.
    """
    holder = journal.holder()
    if holder is not None and holder["run_id"] != run_id:
        raise PatchingError(
            "this host",
            "held by run {} since {}".format(holder["run_id"], holder["time"]),
            "held by run {} or by none".format(run_id),
            "finish, resume or return that run first; its hold is never broken by another run",
        )
