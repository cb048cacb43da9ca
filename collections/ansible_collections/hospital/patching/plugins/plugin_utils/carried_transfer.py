# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary folder here and one on the host, for the plugins that move files of a carried folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def both_ends(action: Any) -> Iterator[tuple[Path, str]]:
    """Yield a temporary folder on the controller and one on the host of an action plugin; both are removed."""
    with tempfile.TemporaryDirectory(prefix="hospital-patching-carried-") as here:
        there = action._make_tmp_path()
        try:
            yield Path(here), there
        finally:
            action._remove_tmp_path(there, force=True)
