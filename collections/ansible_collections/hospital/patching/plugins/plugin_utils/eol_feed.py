# SPDX-License-Identifier: GPL-3.0-or-later
"""End-of-life data in endoflife.date's formats, from a directory, a file or a URL.

Three formats are read: the list of ``/api/PRODUCT.json``, the document of
``/api/v1/products/PRODUCT``, and a file of the project's release-data
repository.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

#: The most bytes of one product's document; the largest today has about 200,000.
LARGEST = 10_000_000
#: How long one document of a remote feed may take.
LIMIT_S = 20.0


@dataclass(frozen=True)
class Cycle:
    """One release cycle. A date is the last day of support; True says that it is over, False that no end is known."""

    name: str
    eol: date | bool | None
    extended: date | bool | None = None
    codename: str | None = None


class Unavailable(Exception):
    """The feed or this product of it cannot be read; the text says why."""


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

    def place(self, product: str) -> str:
        """Return where the product's document is."""
        if "{product}" in self.location:
            return self.location.replace("{product}", product)
        if self.location.endswith(".json"):
            return self.location
        return f"{self.location.rstrip('/')}/{product}.json"

    def _read(self, product: str) -> dict[str, Cycle]:
        if self._down:
            raise Unavailable(self._down)
        place = self.place(product)
        document = _document(self._bytes(place), place)
        if place == self.location and not _is_product(document):
            if not isinstance(document, Mapping) or product not in document:
                raise Unavailable(f"{place} does not know {product}")
            document = document[product]
        elif place == self.location and Path(place).stem != product:
            raise Unavailable(f"{place} does not know {product}")
        return parse(document, place)

    def _bytes(self, place: str) -> bytes:
        if "://" not in place:
            return _local(Path(place))
        try:
            return _bounded(lambda: _remote(place, self.limit_s), self.limit_s, place)
        except _NotThere as error:
            raise Unavailable(str(error)) from error
        except Unavailable as error:
            self._down = str(error)
            raise


class _NotThere(Exception):
    """The feed answers, but has no such document."""


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


def _local(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            content = handle.read(LARGEST + 1)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror or error}") from error
    return _limited(content, str(path))


def _limited(content: bytes, place: str) -> bytes:
    if len(content) > LARGEST:
        raise Unavailable(f"{place} is larger than {LARGEST} bytes")
    return content


def _remote(url: str, limit_s: float) -> bytes:
    if not url.startswith(("http://", "https://")):
        import fsspec  # noqa: PLC0415 (only a site with such a feed needs it)

        with fsspec.open(url, "rb") as handle:
            return _limited(handle.read(LARGEST + 1), url)
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "hospital.patching"})  # noqa: S310
    try:
        with urllib.request.build_opener().open(request, timeout=limit_s) as answer:
            return _limited(answer.read(LARGEST + 1), url)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise _NotThere(f"{url}: {error}") from error
        raise


def _bounded(work: Callable[[], bytes], limit_s: float, place: str) -> bytes:
    """Return what ``work`` returns within the limit: a socket's own limit holds only between two bytes."""
    answers: list[bytes | Exception] = []

    def run() -> None:
        try:
            answers.append(work())
        except Exception as error:  # noqa: BLE001 (libraries behind fsspec raise anything; it is answered as data)
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(limit_s)
    if not answers:
        raise Unavailable(f"{place} gave no answer within {time.monotonic() - began:.0f} s")
    answer = answers[0]
    if isinstance(answer, FileNotFoundError):
        raise _NotThere(f"{place} is not there")
    if isinstance(answer, Unavailable | _NotThere):
        raise answer
    if isinstance(answer, Exception):
        raise Unavailable(f"{place} cannot be read: {type(answer).__name__}: {answer}"[:300])
    return answer
