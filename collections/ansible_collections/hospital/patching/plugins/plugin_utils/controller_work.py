# SPDX-License-Identifier: GPL-3.0-or-later
"""What every action plugin that stays on the controller has in common.

A mixin placed before Ansible's ``ActionBase``: arguments are checked, the work
is done in :meth:`work`, and the project's errors become failed results.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Which run a task belongs to; playbooks give both once, as module defaults.
RUN_ARGUMENTS: dict[str, Any] = {
    "run_id": {"type": "str", "required": True},
    "evidence_dir": {"type": "path", "default": "evidence"},
}

#: What an emergency asks for.
EMERGENCY_ARGUMENTS: dict[str, Any] = {
    "cve": {"type": "str", "default": ""},
    "break_glass": {"type": "list", "elements": "str", "default": []},
    "break_glass_reason": {"type": "str", "default": ""},
    "break_glass_second": {"type": "str", "default": ""},
}


class ControllerWork:
    """Runs :meth:`work` without any connection to the host."""

    TRANSFERS_FILES = False
    _requires_connection = False
    #: Argument spec of the task, as for a module.
    ARGUMENTS: ClassVar[dict[str, Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the arguments, work, and turn a refusal into a failed result."""
        result: dict[str, Any] = super().run(tmp, task_vars)  # type: ignore[misc]
        _checked, arguments = self.validate_argument_spec(self.ARGUMENTS)  # type: ignore[attr-defined]
        try:
            result.update(self.work(arguments, task_vars or {}))
        except PatchingError as error:
            result.update(
                failed=True,
                changed=False,
                msg=str(error),
                subject=error.subject,
                seen=error.seen,
                expected=error.expected,
                next_step=error.next_step,
            )
        return result

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the task's result; raise ``PatchingError`` to refuse."""
        raise NotImplementedError
