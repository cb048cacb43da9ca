# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes as people read them."""

from __future__ import annotations

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def in_words(size_bytes: int) -> str:
    """Return ``517 bytes`` or ``1.2 GiB``: one decimal of the largest unit of which there is one."""
    size, unit = float(size_bytes), "bytes"
    for larger in _UNITS:
        if round(size, 1) < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
