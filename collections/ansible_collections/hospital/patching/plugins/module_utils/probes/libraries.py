# SPDX-License-Identifier: GPL-3.0-or-later
"""Python libraries that some probes need and that may be missing where they run."""

import importlib
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Inconclusive


def optional(name: str) -> Any:
    """Return the library, or None where it is missing or does not load."""
    try:
        return importlib.import_module(name)
    except Exception:  # noqa: BLE001 - a library that breaks off while it loads is as good as none
        return None


def required(name: str) -> Any:
    """Return the library.

    Raises:
        Inconclusive: it is missing.
    """
    found = optional(name)
    if found is None:
        raise Inconclusive(
            "not read: the Python library {} is missing where this probe runs; install it there, or set vantage to"
            " a machine that has it".format(name)
        )
    return found
