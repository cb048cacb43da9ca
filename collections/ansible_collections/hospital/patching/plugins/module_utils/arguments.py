# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs that several modules share, documented by doc_fragments/run.py.

``step`` and ``evidence_dir`` are read by the action plugin on the controller; a
module accepts them, because Ansible hands over a task's arguments as they are.
"""

from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils.host import STATE_DIR

RUN: Dict[str, Dict[str, Any]] = {
    "run_id": {"type": "str", "required": True},
    "state_dir": {"type": "path", "default": STATE_DIR},
    "step": {"type": "str"},
    "evidence_dir": {"type": "path"},
}

#: The same for a module that also works outside a run.
STEP: Dict[str, Dict[str, Any]] = {
    "run_id": {"type": "str"},
    "step": {"type": "str"},
    "evidence_dir": {"type": "path"},
}

MANAGER: Dict[str, Dict[str, Any]] = {
    "manager": {"type": "str", "choices": ["auto", "apt", "zypper", "dnf", "dnf5"], "default": "auto"},
}

TRANSACTION: Dict[str, Dict[str, Any]] = {
    "transaction": {"type": "dict", "required": True},
}

NAMES: Dict[str, Dict[str, Any]] = {
    "names": {"type": "list", "elements": "str", "default": []},
}

EXPECT: Dict[str, Dict[str, Any]] = {
    "expect": {"type": "str", "choices": ["to", "from"], "default": "to"},
}

LIMITS: Dict[str, Dict[str, Any]] = {
    "lock_timeout_s": {"type": "int", "default": 600},
    "timeout_s": {"type": "int", "default": 3600},
}


def merged(*specs: Dict[str, Dict[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """Return one argument spec of several."""
    return {name: spec for several in specs for name, spec in several.items()}
