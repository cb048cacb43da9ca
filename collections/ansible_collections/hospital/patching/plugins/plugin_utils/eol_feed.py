# SPDX-License-Identifier: GPL-3.0-or-later
"""End-of-life data in endoflife.date's formats, from a directory, a file or a URL.

Three formats are read: the list of ``/api/PRODUCT.json``, the document of
``/api/v1/products/PRODUCT``, and a file of the project's release-data
repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import (
    NotThis,
    Unavailable,
    fetch,
    without_credentials,
)

#: The most bytes of one product's document; the largest today has about 200,000.
LARGEST = 10_000_000
#: How long one document of a remote feed may take.
LIMIT_S = 20.0
#: What endoflife.date names products by. Ours may come from a host's os-release, and become part of a path or URL.
PRODUCT = re.compile(r"[a-z0-9][a-z0-9.+_-]*")


@dataclass(frozen=True)
class Cycle:
    """One release cycle. A date is the last day of support; True says that it is over, False that no end is known."""

    name: str
    eol: date | bool | None
    extended: date | bool | None = None
    codename: str | None = None


@dataclass
class Feed:
    """The data at one place; every product is read once, and a feed that is down is not asked again.

    ``location`` is a directory or base URL that holds ``PRODUCT.json``, a
    template with ``{product}``, or one ``.json`` file: of one product, or a
    mapping of products.
    """

    location: str
    limit_s: float = LIMIT_S
    _known: dict[str, dict[str, Cycle] | Unavailable] = field(default_factory=dict)
    _down: str = ""

    def cycles(self, product: str) -> dict[str, Cycle]:
        """Return the product's cycles by name.

        Raises:
            Unavailable: the feed does not know it, or cannot be read.
        """
        if product not in self._known:
            try:
                self._known[product] = self._read(product)
            except Unavailable as error:
                self._known[product] = error
        found = self._known[product]
        if isinstance(found, Unavailable):
            raise found
        return found

    def shown(self, product: str) -> str:
        """Return where the product's document is, without the feed's credentials."""
        return without_credentials(self._place(product))

    def _place(self, product: str) -> str:
        if "{product}" in self.location:
            return self.location.replace("{product}", product)
        base, mark, query = self.location.partition("?") if "://" in self.location else (self.location, "", "")
        if base.endswith(".json"):
            return self.location
        return f"{base.rstrip('/')}/{product}.json{mark}{query}"

    def _read(self, product: str) -> dict[str, Cycle]:
        if not PRODUCT.fullmatch(product) or ".." in product:
            raise Unavailable(f"{product[:80]!r} cannot be the name of a product")
        if self._down:
            raise Unavailable(self._down)
        place, shown = self._place(product), self.shown(product)
        document = _document(self._bytes(place), shown)
        if place == self.location and not _is_product(document):
            if not isinstance(document, Mapping) or product not in document:
                raise Unavailable(f"{shown} does not know {product}")
            document = document[product]
        elif place == self.location and PurePosixPath(shown).stem != product:
            raise Unavailable(f"{shown} does not know {product}")
        return parse(document, shown)

    def _bytes(self, place: str) -> bytes:
        try:
            return fetch(place, LARGEST, self.limit_s)
        except NotThis:
            raise
        except Unavailable as error:
            self._down = str(error)
            raise


def parse(document: Any, place: str) -> dict[str, Cycle]:
    """Return the cycles of a product's document; entries without a name are left out.

    Raises:
        Unavailable: it has none of the known formats, or no cycle.
    """
    if isinstance(document, Mapping) and isinstance(document.get("result"), Mapping):
        document = document["result"]
    entries = document.get("releases") if isinstance(document, Mapping) else document
    if isinstance(entries, Mapping):
        entries = list(entries.values())
    if not isinstance(entries, list):
        raise Unavailable(f"{place} has none of endoflife.date's formats")
    cycles = [_cycle(entry) for entry in entries if isinstance(entry, Mapping)]
    found = {cycle.name: cycle for cycle in cycles if cycle.name}
    if not found:
        raise Unavailable(f"{place} lists no release cycle")
    return found


def _cycle(entry: Mapping[str, Any]) -> Cycle:
    codename = entry.get("codename")
    return Cycle(
        str(entry.get("cycle") or entry.get("name") or ""),
        _end(entry, ("eol", "eolFrom"), "isEol"),
        _end(entry, ("extendedSupport", "eoes", "eoesFrom"), "isEoes"),
        str(codename) if codename else None,
    )


def _end(entry: Mapping[str, Any], dates: tuple[str, ...], flag: str) -> date | bool | None:
    for key in dates:
        value = entry.get(key)
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            try:
                return date.fromisoformat(value[:10])
            except ValueError:
                return None
    return entry[flag] if isinstance(entry.get(flag), bool) else None


def _is_product(document: Any) -> bool:
    return isinstance(document, list) or (
        isinstance(document, Mapping) and ("releases" in document or "result" in document)
    )


def _document(content: bytes, place: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{place} is no JSON: {error}") from error
