# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collector returns when it could read only some of its part."""

from typing import Any, NamedTuple

#: The part as far as it goes, and what is missing of it in words; an empty text: nothing is.
Partial = NamedTuple("Partial", [("value", Any), ("problem", str)])
