# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody has to merge when a package proposes another configuration file: keys and line numbers, no values.

Pure: two texts in, a report out. The format is found from the text: sections and
``key = value`` (also Java's properties), ``key: value`` nested by indentation,
statements that end in ``;`` with blocks in braces, or ``Keyword value`` as sshd
has it. Of all else only lines are compared. A name is shown only if it looks
like one; what may be a secret that was taken for a name is not shown.
"""

import difflib
import os
import re
import stat
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Beyond these nobody reads a list, and no night waits for it.
LONGEST_BYTES, MOST_LINES, LONGEST_LINE, MOST_CHANGES = 256 * 1024, 5000, 4096, 50
#: What a file is called that has no format: its lines are compared.
LINES = "lines"
#: A format has to explain so many percent of the lines that are neither empty nor comments.
ENOUGH_PERCENT = 90
#: Stands for a name that is not shown.
HIDDEN = "?"

#: Its name (blocks or sections first), the line where it stands, and its value, which never leaves this module.
Item = NamedTuple("Item", [("path", Tuple[str, ...]), ("line", int), ("value", str)])

_COMMENT = re.compile(r"\s*(#|;|//|!|--\s)")
_SECTION = re.compile(r"\[\s*(?P<name>[^\]]*?)\s*\]\s*(?:[#;].*)?\Z")
_PAIR = re.compile(r"(?P<indent>\s*)(?P<key>[^\s=:#;\[{][^=:{}]*?)\s*(?:=|:(?=\s|\Z)|(?<=\w):(?=[^/:]))(?P<value>.*)\Z")
_YAML = re.compile(r"(?P<indent>\s*(?:- +)*)(?P<key>[^\s=:#{\[\-&*!|>'\"%@`][^:{}]*?)\s*:(?:\s+(?P<value>.*)|)\Z")
_KEYWORD = re.compile(r"\s*(?P<key>[A-Z][A-Za-z0-9]*)[ \t]+(?P<value>\S.*)\Z")
_PIECES = re.compile(
    r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[;{}]|\n|[^\s;{}"'#][^\s;{}"']*|[ \t\r\f\v]+|.""", re.S
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,39}\Z")
_PLAIN_WORD = 16


def compare(kept: bytes, proposed: bytes) -> Dict[str, Any]:
    """Return ``{"format", "changes", "more", "note"}`` of the file in force and the one that the package proposes.

    Each change has ``key`` (null where none can be shown), ``change``
    (``changed``, ``added`` by the proposal, ``removed`` in it), ``line`` and
    ``proposed_line``, null where it does not stand. ``more`` counts those that
    are not listed.
    """
    unreadable = _unreadable(kept) or _unreadable(proposed)
    if unreadable:
        return _report(None, [], unreadable)
    old, new = kept.decode("utf-8"), proposed.decode("utf-8")
    if old == new:
        return _report(None, [], "both are equal")
    for name, read in FORMATS:
        found = read(old), read(new)
        if found[0] is not None and found[1] is not None:
            changes = list(_changes(found[0], found[1]))
            return _report(name, changes, None if changes else "only comments, blank lines or the order differ")
    return _report(LINES, list(_line_changes(old.splitlines(), new.splitlines())), None)


def _unreadable(content: bytes) -> Optional[str]:
    if len(content) > LONGEST_BYTES or content.count(b"\n") > MOST_LINES:
        return "too large to compare: more than {} KiB or {} lines".format(LONGEST_BYTES // 1024, MOST_LINES)
    if b"\0" in content:
        return "binary"
    if max((len(line) for line in content.splitlines()), default=0) > LONGEST_LINE:
        return "a line is longer than {} bytes".format(LONGEST_LINE)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "not text in UTF-8"
    return None


def _report(name: Optional[str], changes: List[Dict[str, Any]], note: Optional[str]) -> Dict[str, Any]:
    more = max(0, len(changes) - MOST_CHANGES)
    return {"format": name, "changes": changes[:MOST_CHANGES], "more": more, "note": note}


def shown(path: Tuple[str, ...]) -> Optional[str]:
    """Return a key as it may be shown, null when nothing of it may."""
    parts = [part if _is_name(part) else HIDDEN for part in path]
    return None if all(part == HIDDEN for part in parts) else ".".join(parts)


def _is_name(text: str) -> bool:
    """Long words with digits may be keys and tokens: no administrator names an option so."""
    words = re.split(r"[_.\-]", text)
    return bool(_NAME.match(text)) and not any(len(word) >= _PLAIN_WORD and re.search(r"[0-9]", word) for word in words)


# --- comparing ---------------------------------------------------------------


def _changes(kept: List[Item], proposed: List[Item]) -> Iterator[Dict[str, Any]]:
    old, new = _by_path(kept), _by_path(proposed)
    for path in list(old) + [path for path in new if path not in old]:
        before, after = old.get(path, []), new.get(path, [])
        # Of one that stands several times, those that differ, in their order.
        values = [item.value for item in after]
        left = [item for item in before if item.value not in values]
        values = [item.value for item in before]
        right = [item for item in after if item.value not in values]
        if not left and not right and len(before) != len(after):
            left, right = before[len(after) :], after[len(before) :]
        for number in range(max(len(left), len(right))):
            was = left[number].line if number < len(left) else None
            is_now = right[number].line if number < len(right) else None
            yield _change(shown(path), was, is_now)


def _by_path(items: List[Item]) -> Dict[Tuple[str, ...], List[Item]]:
    found: Dict[Tuple[str, ...], List[Item]] = {}
    for item in items:
        found.setdefault(item.path, []).append(item)
    return found


def _change(key: Optional[str], line: Optional[int], proposed_line: Optional[int]) -> Dict[str, Any]:
    change = "added" if line is None else "removed" if proposed_line is None else "changed"
    return {"key": key, "change": change, "line": line, "proposed_line": proposed_line}


def _line_changes(kept: List[str], proposed: List[str]) -> Iterator[Dict[str, Any]]:
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, kept, proposed).get_opcodes():
        if tag != "equal":
            yield _change(None, start + 1 if end > start else None, new_start + 1 if new_end > new_start else None)


# --- formats: each returns the items of a text, or None when it is another format -----


def _is_told(line: str) -> bool:
    return bool(line.strip()) and not _COMMENT.match(line)


def read_sections(text: str) -> Optional[List[Item]]:
    """Read ``[section]`` and ``key = value``; deeper lines and those after a backslash belong to the value above."""
    items: List[Item] = []
    section: Tuple[str, ...] = ()
    indent: Optional[int] = None
    goes_on, told, known = False, 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        if not goes_on and not _is_told(line):
            continue
        deeper = indent is not None and len(line) - len(line.lstrip()) > indent and bool(line.strip())
        if items and (goes_on or deeper):
            items[-1] = items[-1]._replace(value=items[-1].value + "\n" + line)
        else:
            told += 1
            head, pair = _SECTION.match(line.strip()), _PAIR.match(line)
            if head:
                section, indent = (head.group("name"),), None
                known += 1
            elif pair:
                indent = len(pair.group("indent"))
                items.append(Item(section + (pair.group("key").strip(),), number, pair.group("value").strip()))
                known += 1
        goes_on = bool(items) and (len(line) - len(line.rstrip("\\"))) % 2 == 1
    return items if _is_enough(known, told) else None


def read_nested(text: str) -> Optional[List[Item]]:
    """Read ``key: value`` nested by indentation; deeper lines below a value belong to it."""
    items: List[Item] = []
    above: List[Tuple[int, str]] = []
    value_indent: Optional[int] = None
    told = known = 0
    for number, line in enumerate(text.splitlines(), 1):
        depth = len(line) - len(line.lstrip())
        if value_indent is not None and (depth > value_indent or not line.strip()):
            items[-1] = items[-1]._replace(value=items[-1].value + "\n" + line)
            continue
        if not _is_told(line) or line.strip() in ("---", "..."):
            continue
        told += 1
        pair = _YAML.match(line)
        if pair is None:
            # An entry of a list, or of what is no YAML at all.
            known += bool(items) and line.lstrip().startswith("- ")
            if items:
                items[-1] = items[-1]._replace(value=items[-1].value + "\n" + line)
            continue
        known += 1
        indent = len(pair.group("indent"))
        above = [one for one in above if one[0] < indent]
        path = tuple(name for _indent, name in above) + (pair.group("key"),)
        value = re.sub(r"\s+#.*", "", pair.group("value") or "").strip()
        items.append(Item(path, number, value))
        above.append((indent, pair.group("key")))
        value_indent = indent if value else None
    return items if _is_enough(known, told) else None


def read_statements(text: str) -> Optional[List[Item]]:
    """Read ``directive value;`` and blocks in braces, as nginx, dhcpd and named have them."""
    items: List[Item] = []
    blocks: List[str] = []
    words: List[str] = []
    line, begun, ended = 1, 1, 0
    for piece in _PIECES.findall(text):
        if piece in (";", "{", "}"):
            if piece == "{" and words:
                items.append(Item(tuple(blocks) + (words[0],), begun, " ".join(words[1:])))
            if piece == ";" and words:
                items.append(Item(tuple(blocks) + (words[0],), begun, " ".join(words[1:])))
                ended += 1
            if piece == "{":
                blocks.append(words[0] if words else HIDDEN)
            elif piece == "}" and (words or not blocks):
                return None
            elif piece == "}":
                blocks.pop()
            words = []
        elif piece.strip() and not piece.startswith("#"):
            if not words:
                begun = line
            words.append(piece)
        line += piece.count("\n")
    return items if ended and not blocks and not words else None


def read_keywords(text: str) -> Optional[List[Item]]:
    """Read ``Keyword value``, as sshd has it: every line begins with a capital, which no data does by chance."""
    items = []
    for number, line in enumerate(text.splitlines(), 1):
        if _is_told(line):
            pair = _KEYWORD.match(line)
            if pair is None:
                return None
            items.append(Item((pair.group("key"),), number, pair.group("value").strip()))
    return items if items else None


def _is_enough(known: int, told: int) -> bool:
    return told > 0 and known * 100 >= told * ENOUGH_PERCENT


FORMATS = (
    ("statements", read_statements),
    ("keywords", read_keywords),
    ("nested", read_nested),
    ("sections", read_sections),
)


# --- files -------------------------------------------------------------------

#: What the proposals of a night may need at most.
MOST_FILES = 20
ENDINGS = (".dpkg-dist", ".dpkg-new", ".ucf-dist", ".rpmnew", ".rpmsave", ".rpmorig")
#: rpm has put the package's file in force and the site's own one aside.
SAVED = (".rpmsave", ".rpmorig")


def of_proposals(paths: List[str]) -> List[Dict[str, Any]]:
    """Return a report for each proposal, with ``file`` and ``proposal``; of more than can be told only their names."""
    reports = []
    for number, path in enumerate(paths):
        ending = next((end for end in ENDINGS if path.endswith(end)), "")
        beside = path[: len(path) - len(ending)] if ending else path
        if number < MOST_FILES:
            found = _compared(path, beside, ending in SAVED)
        else:
            found = _report(None, [], "not compared: more than {} files".format(MOST_FILES))
        reports.append(dict({"file": beside, "proposal": path}, **found))
    return reports


def _compared(proposal: str, beside: str, saved: bool) -> Dict[str, Any]:
    try:
        # The file itself may be a link of the host's own; a proposal is none of any package manager's.
        lying, used = _content(proposal, os.O_NOFOLLOW), _content(beside)
        return compare(lying, used) if saved else compare(used, lying)
    except PatchingError as error:
        return _report(None, [], "{}: {}".format(error.subject, error.seen))


def _content(path: str, flags: int = 0) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)  # a pipe would block for ever
        with os.fdopen(descriptor, "rb") as handle:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return handle.read(LONGEST_BYTES + 1)
    except OSError as error:
        raise PatchingError(path, error.strerror or "not readable", "a file", "look at it on the host")
    raise PatchingError(path, "not a regular file", "a file", "look at it on the host")
