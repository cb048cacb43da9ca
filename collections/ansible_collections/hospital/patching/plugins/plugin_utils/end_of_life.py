# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operating systems, applications and packages have reached, or will soon reach, their end of life.

The last day of support is still supported. What the feed does not say is
``unknown``, which is a finding and never a pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import eol_products
from ansible_collections.hospital.patching.plugins.plugin_utils.eol_feed import Cycle, Feed
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import Unavailable
from ansible_collections.hospital.patching.plugins.plugin_utils.installed import Item, text

NEAR_DAYS = 180
#: The worst first.
STATES = ("past", "near", "unknown", "supported")
OS_RELEASE = "os-release SUPPORT_END"
CATALOGUE = "catalogue of applications"
NOT_TOLD = "its version or its maker cannot be told"


@dataclass(frozen=True)
class Finding:
    """One product on one host.

    ``eol`` is the last day of support, where a day is known. ``maintained_by``
    is ``os`` for a package of the distribution, which mends it there after
    upstream's end; else ``upstream``. ``items`` are the installed things that
    it speaks of; the operating system has none.
    """

    product: str
    cycle: str | None
    version: str | None
    eol: str | None
    days_left: int | None
    state: str
    where: str
    source: str
    maintained_by: str = "upstream"
    items: tuple[Item, ...] = ()

    def result(self) -> dict[str, Any]:
        """Return it as the fleet's inventory holds it."""
        keys = ("product", "cycle", "version", "eol", "days_left", "state", "where", "source", "maintained_by")
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class Judge:
    """Holds products against a feed on one day; ``extended`` are products for which the site has extended support."""

    feed: Feed | None
    today: date
    near_days: int = NEAR_DAYS
    extended: Collection[str] = ()

    def findings(self, identity: Mapping[str, Any] | None, items: Iterable[Item]) -> list[Finding]:
        """Return the findings of one host, the worst and the nearest end first.

        Args:
            identity: the ``os`` part of ``patching_software``; None when unknown.
        """
        found = [self._operating_system(identity or {}), *self._products(items)]
        return sorted(found, key=lambda one: (STATES.index(one.state), one.eol or "9999", one.product, one.where))

    def product(self, product: str, version: str, where: str) -> Finding:
        """Return the finding of one product."""
        if self.feed is None:
            return Finding(
                product, None, version, None, None, "unknown", where, "no feed: patching_eol_feed is not set"
            )
        try:
            cycles = self.feed.cycles(product)
        except Unavailable as error:
            return Finding(product, None, version, None, None, "unknown", where, str(error))
        cycle = cycle_of(version, cycles)
        source = self.feed.shown(product)
        if cycle is None:
            source = f"{source} has no cycle of {version}"
            return Finding(product, None, version, None, None, "unknown", where, source)
        end = cycle.eol
        if product in self.extended and cycle.extended not in (None, False):
            end, source = cycle.extended, f"{source} (extended support)"
        eol, days_left, state = self._judge(end)
        return Finding(product, cycle.name, version, eol, days_left, state, where, source)

    def _judge(self, end: date | bool | None) -> tuple[str | None, int | None, str]:
        if end is None:
            return None, None, "unknown"
        if isinstance(end, bool):
            return None, None, "past" if end else "supported"
        days_left = (end - self.today).days
        state = "past" if days_left < 0 else "near" if days_left <= self.near_days else "supported"
        return end.isoformat(), days_left, state

    def _operating_system(self, identity: Mapping[str, Any]) -> Finding:
        named = eol_products.operating_system(identity)
        where = text(identity.get("pretty_name")) or "operating system"
        if named is None:
            found = Finding("operating system", None, None, None, None, "unknown", where, "os-release names no version")
        else:
            found = self.product(*named, where)
        stated = _date(identity.get("support_end"))
        if stated is None or (found.eol is not None and found.eol <= stated.isoformat()) or found.state == "past":
            return found
        # Two sources that differ: the earlier end holds.
        eol, days_left, state = self._judge(stated)
        return replace(found, eol=eol, days_left=days_left, state=state, source=OS_RELEASE)

    def _products(self, items: Iterable[Item]) -> list[Finding]:
        """Return one finding a product, version and maintainer, however many packages it has."""
        groups: dict[tuple[str, str, str, str], list[Item]] = {}
        for item in items:
            if item.kind == "application" and (item.advice or "").lower().startswith("remove"):
                groups.setdefault(
                    (item.product or item.name, item.version or "", "remove", item.path or ""), []
                ).append(item)
                continue
            named = eol_products.product_of(item)
            if named:
                maintained_by = "os" if eol_products.by_distribution(item) else "upstream"
                # Packages of one source are one product; what lies elsewhere on the disk is another copy.
                groups.setdefault((*named, maintained_by, item.path or ""), []).append(item)
            elif item.kind == "java" or (item.kind == "application" and item.product):
                # A product that ends, though it cannot be told when.
                product = item.product or item.name
                groups.setdefault((product, item.version or "", "unknown", item.path or ""), []).append(item)
        return [self._of_group(*key[:3], tuple(group)) for key, group in groups.items()]

    def _of_group(self, product: str, version: str, maintained_by: str, group: tuple[Item, ...]) -> Finding:
        first = group[0]
        where = first.path or f"{first.kind} {first.source or first.name} {first.version}"
        if maintained_by == "remove":
            return Finding(product, None, version or None, None, None, "past", where, CATALOGUE, items=group)
        if maintained_by == "unknown":
            return Finding(product, None, version or None, None, None, "unknown", where, NOT_TOLD, items=group)
        return replace(self.product(product, version, where), maintained_by=maintained_by, items=group)


def cycle_of(version: str, cycles: Mapping[str, Cycle]) -> Cycle | None:
    """Return the cycle that the version belongs to: the longest name that begins it, by whole numbers."""
    parts = version.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in cycles:
            return cycles[name]
    return None


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10]) if value else None
    except ValueError:
        return None
