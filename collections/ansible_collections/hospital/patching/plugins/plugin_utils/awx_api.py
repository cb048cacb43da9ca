# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads AWX's REST API: https://HOST/api/v2/, or below /api/controller/v2/ of the AAP gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.hospital.patching.plugins.plugin_utils import segments
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_site import AwxSite
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import NotThis, Unavailable, fetch

#: The most bytes of one answer, and seconds of one answer and of all together: a host waits at the gate meanwhile.
LARGEST = 5_000_000
LIMIT_S = 10.0
ALL_S = 30.0
#: AWX gives at most 200 rows a page (MAX_PAGE_SIZE); a workflow that is larger than this is none of plan and patch.
PAGE, MOST_PAGES = 200, 10


class AwxApi:
    """One look at AWX, in which every answer is asked for once. Nothing is followed, and no proxy gets the token."""

    def __init__(self, site: AwxSite, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.site, self.monotonic = site, monotonic
        self._until = monotonic() + ALL_S
        self._known: dict[str, dict[str, Any]] = {}
        self._contact: segments.Contact | None = None

    def get(self, path: str) -> dict[str, Any]:
        """Return the object at a path below the API's address.

        Raises:
            Unavailable: it cannot be had; the text says why, without the token.
        """
        if path not in self._known:
            self._known[path] = self._ask(f"{self.site.url}/{path}")
        return self._known[path]

    def rows(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a list; raises as :meth:`get`."""
        for page in range(1, MOST_PAGES + 1):
            answer = self.get(f"{path}?page_size={PAGE}&page={page}")
            results = answer.get("results")
            if not isinstance(results, list) or not all(isinstance(row, dict) for row in results):
                raise NotThis(f"{self.site.url}/{path} is no list of AWX's")
            yield from results
            if not answer.get("next"):
                return
        raise NotThis(f"{self.site.url}/{path} has more than {MOST_PAGES * PAGE} rows")

    def _ask(self, url: str) -> dict[str, Any]:
        if self.site.problem:
            raise Unavailable(self.site.problem)
        if self._contact is None:
            server = urlsplit(url).hostname or ""
            self._contact = segments.contact(server, server, "managed", self.site.segments)
        if not self._contact.allowed:
            raise Unavailable(f"AWX is not connected to: {self._contact.reason}")
        left_s = self._until - self.monotonic()
        if left_s <= 0:
            raise Unavailable(f"AWX has answered too slowly: {ALL_S:g} s are over")
        content = fetch(url, LARGEST, min(LIMIT_S, left_s), follow=False, bearer=self.site.token)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise NotThis(f"{url.partition('?')[0]} is no JSON object, as AWX's API answers")
        return found
