# SPDX-License-Identifier: GPL-3.0-or-later
"""Which repository a package came from and why it is installed, from dnf's own history (dnf 4)."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Name, epoch, version, release and architecture.
Nevra = Tuple[str, int, str, str, str]

#: ``origins`` by package; ``automatic``: name and architecture of what was installed as another's dependency.
History = NamedTuple("History", [("origins", Dict[Nevra, str]), ("automatic", Dict[Tuple[str, str], bool])])

PATH = "var/lib/dnf/history.sqlite"
#: libdnf's TransactionItemReason: DEPENDENCY and WEAK_DEPENDENCY; what has no reason counts as the user's.
_AUTOMATIC = (1, 4)
#: libdnf's TransactionItemAction: DOWNGRADED, OBSOLETED and UPGRADED are the versions that left.
_LEFT = (3, 5, 7)
_REMOVE, _REASON_CHANGE = 8, 11
#: 10 is REINSTALLED, the same package as in the row of its reinstallation.
_QUERY = """
SELECT rpm.name, rpm.epoch, rpm.version, rpm.release, rpm.arch, repo.repoid, trans_item.action, trans_item.reason
FROM trans_item
JOIN trans ON trans.id = trans_item.trans_id
JOIN rpm ON rpm.item_id = trans_item.item_id
LEFT JOIN repo ON repo.id = trans_item.repo_id
WHERE trans_item.action <> 10 AND trans.state = 1
ORDER BY trans_item.trans_id, trans_item.id
"""
#: A host's whole life in dnf: a row is 200 bytes here.
_ROWS = 1000000


def present(root: str) -> bool:
    """Return whether dnf keeps a history under ``root``."""
    return os.path.exists(os.path.join(root, PATH))


def read(root: str) -> History:
    """Return what the history says of every package, the newest transaction last; only reads.

    Raises:
        PatchingError: the history is damaged, or this Python has no sqlite3.
    """
    path = os.path.join(root, PATH)
    try:
        import sqlite3  # noqa: PLC0415 - two milliseconds that a host without dnf need not spend
    except ImportError:
        raise PatchingError(
            path, "this Python has no sqlite3", "the standard library's sqlite3", "install python3-libs"
        )
    try:
        connection = sqlite3.connect(address(path), uri=True, timeout=5)
        try:
            connection.text_factory = _text
            rows: List[Any] = connection.execute(_QUERY).fetchmany(_ROWS)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise PatchingError(
            path,
            str(error),
            "dnf's history database",
            "look at dnf history on the host; origins are unknown until then",
        )
    return fold(rows)


def address(path: str) -> str:
    """Return SQLite's address of a database that must not be written.

    ``immutable`` takes no locks and makes no file, but passes over the write-ahead
    log (https://www.sqlite.org/uri.html): dnf leaves its last transactions there.
    """
    try:
        logged = os.path.getsize(path + "-wal") > 0
    except OSError:
        logged = False
    for sign, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        path = path.replace(sign, code)
    return "file:{}?mode=ro{}".format(os.path.abspath(path), "" if logged else "&immutable=1")


def fold(rows: List[Any]) -> History:
    """Return the state after ``rows`` of :data:`_QUERY`, as libdnf's ``resolveTransactionItemReason`` judges it."""
    history = History({}, {})
    for name, epoch, version, release, arch, repository, action, reason in rows:
        package = (name, epoch or 0, version, release, arch)
        if action in _LEFT or action == _REMOVE:
            history.origins.pop(package, None)
        elif action != _REASON_CHANGE and repository:
            history.origins[package] = repository
        if action == _REMOVE:
            history.automatic.pop((name, arch), None)
        elif action not in _LEFT:
            history.automatic[(name, arch)] = reason in _AUTOMATIC
    return history


def _text(value: Any) -> Optional[str]:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
