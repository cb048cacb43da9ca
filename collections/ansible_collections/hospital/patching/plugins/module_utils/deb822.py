# SPDX-License-Identifier: GPL-3.0-or-later
"""Paragraphs of ``Field: value`` lines as Debian's control files have them (deb822(5))."""

from typing import Dict, Iterator, List


def paragraphs(text: str) -> Iterator[Dict[str, str]]:
    """Yield each paragraph as a dictionary; continuation lines stay in the value.

    Lines that are neither a field nor a continuation are passed over: a damaged
    file yields what can be read of it.
    """
    for block in text.split("\n\n"):
        fields: Dict[str, str] = {}
        last = ""
        for line in block.split("\n"):
            if line[:1] in (" ", "\t"):
                if last:
                    fields[last] += "\n" + line
                continue
            if line[:1] == "#":
                continue
            name, colon, value = line.partition(":")
            if colon and name and " " not in name:
                last = name
                fields[name] = value.strip()
            else:
                last = ""
        if fields:
            yield fields


def render(fields: Dict[str, str]) -> str:
    """Return one paragraph, ending in an empty line."""
    lines: List[str] = []
    for name, value in fields.items():
        lines.append("{}: {}".format(name, value))
    return "\n".join(lines) + "\n\n"
