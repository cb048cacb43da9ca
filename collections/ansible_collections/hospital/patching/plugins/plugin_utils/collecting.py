# SPDX-License-Identifier: GPL-3.0-or-later
"""Python's search for objects that only refer to each other, and work during which it is not worth its time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_paused() -> Iterator[None]:
    """Search for no cycles meanwhile, for work that makes very many objects and hardly any cycle.

    Each search looks at all objects that there are, again and again while their number grows. What nobody refers to
    any more is freed at once as ever.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
