# SPDX-License-Identifier: GPL-3.0-or-later
"""The services on the page: who was out, how many at once, and for how long nobody served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report import absence_words, words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.markup import Child, Markup, tag

_COLUMNS = ("Service", "Out of service", "At once", "Downtime, by the run's probes", "Requests sent meanwhile")


def services_table(report: Mapping[str, Any]) -> Markup | None:
    """Return the section of services and of devices that must not be touched; None where there are neither."""
    if not report["services"] and not report["devices"]:
        return None
    table = tag(
        "table",
        tag("thead", tag("tr", [tag("th", name, scope="col") for name in _COLUMNS])),
        tag("tbody", [_service(service) for service in report["services"]]),
    )
    return tag(
        "section",
        tag("h2", "Services"),
        tag("div", table, class_="stacks") if report["services"] else None,
        [_device(device) for device in report["devices"]],
    )


def _service(service: Mapping[str, Any]) -> Markup:
    tier = "" if service["tier"] is None else f"tier {service['tier']}"
    away = [tag("span", one, class_="line") for one in absence_words.absences(service)]
    size, least, out = len(service["hosts"]), service["min_healthy"], service["out_at_once"]
    too_many = out is not None and least is not None and out > size - least
    cells: list[tuple[Child, str | None]] = [
        (away or _soft(service["downtime_basis"]), None),
        (absence_words.at_once(service), "bad-ink" if too_many else None) if away else (_soft(f"0 of {size}"), "idle"),
        (_downtime(service), None) if away else (_soft(words.NONE), "idle"),
        _requests(service["measured"]),
    ]
    return tag(
        "tr",
        tag("th", service["service"], tag("span", tier, class_="tag soft line"), scope="row"),
        [
            tag("td", tag("span", name, class_="label", aria_hidden="true"), content, class_=ink)
            for name, (content, ink) in zip(_COLUMNS[1:], cells, strict=True)
        ],
    )


def _downtime(service: Mapping[str, Any]) -> list[Markup]:
    told = absence_words.bounds(service["downtime"])
    accepted = service["accepted_s"]
    basis = service["downtime_basis"] + (
        f"; {absence_words.seconds(accepted)} accepted" if accepted is not None else ""
    )
    return [
        _soft(told) if service["downtime"] is None else tag("strong", told),
        tag("span", basis, class_="soft small line"),
    ]


def _requests(numbers: Mapping[str, Any] | None) -> tuple[Child, str | None]:
    if numbers is None or numbers["requests"] is None:
        return _soft(words.UNMEASURED), "idle"
    told, _comma, more = absence_words.measured({"measured": numbers}).partition(", ")
    content = [told, tag("span", more, class_="soft small line") if more else None]
    return content, "bad-ink" if numbers["failed"] else None


def _soft(text: str) -> Markup:
    return tag("span", text, class_="soft")


def _device(device: Mapping[str, Any]) -> Markup:
    number = device["connections"]
    text = f": a medical device that counted {words.count(number, 'connection')}; it must have none."
    return tag("p", tag("strong", device["host"]), text, class_="bad-ink" if number else "soft")
