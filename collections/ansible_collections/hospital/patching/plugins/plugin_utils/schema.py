# SPDX-License-Identifier: GPL-3.0-or-later
"""Contracts: documents are validated against the JSON Schemas beside this file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.hospital.patching.plugins.module_utils import schema as quick
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

FOLDER = Path(__file__).parent / "schemas"


def kinds() -> list[str]:
    """Return the names of all contracts."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@lru_cache
def _document(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    return document


@lru_cache(maxsize=1)
def _documents() -> dict[str, Any]:
    """Return all schemas by their ``$id``, for those that refer to each other."""
    return {_document(kind).get("$id", kind): _document(kind) for kind in kinds()}


@lru_cache
def _quick(kind: str) -> quick.Validator:
    return quick.Validator(_document(kind), _documents())


def validate(kind: str, value: object, where: str) -> None:
    """Hold ``value`` against the schema ``kind``.

    Args:
        where: the document's name for people: a path, or "plan 2026…".

    Raises:
        PatchingError: it does not fit; the message names the place in it.
    """
    found = misfit(kind, value)
    if found is not None:
        raise PatchingError(
            f"{where} at {place(found.place)}",
            found.seen,
            f"what the contract {kind} says there",
            "make the document again; if a newer release wrote it, use that release",
        )


def _worst(kind: str, value: object) -> ValidationError | None:
    # Imported here: nearly all documents fit, and the libraries take longer to import than a document to check.
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.exceptions import best_match  # noqa: PLC0415
    from referencing import Registry, Resource  # noqa: PLC0415

    resources = ((name, Resource.from_contents(one)) for name, one in _documents().items())
    registry: Registry[Any] = Registry().with_resources(resources)
    error: ValidationError | None = best_match(
        Draft202012Validator(_document(kind), registry=registry).iter_errors(value)
    )
    return error


@dataclass(frozen=True)
class Misfit:
    """Where a document does not fit, in the library's words and as the rule that it breaks."""

    place: tuple[str | int, ...]
    seen: str
    keyword: str
    rule: Any


def misfit(kind: str, value: object) -> Misfit | None:
    """Return where ``value`` does not fit the schema ``kind`` and what is wrong there, or None."""
    # The hosts' own validator, which a test holds equal to the library, is several times as fast; of what it does not
    # accept the library has to say what is wrong.
    if not _quick(kind).errors(value):
        return None
    error = _worst(kind, value)
    if error is None:
        return None
    return Misfit(tuple(error.absolute_path), _seen(error), str(error.validator), error.validator_value)


def place(path: Iterable[str | int]) -> str:
    """Return a path in a document as people write it: ``hosts.db1.updates[3].to``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "its top"


def _seen(error: ValidationError) -> str:
    return error.message if len(error.message) <= 300 else error.message[:300] + "…"
