# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one page over HTTP: for the probes that judge what it says.

Nothing is followed (a redirect could lead into a device segment) and no proxy
is used. Of the body no more is read than ``body_limit_bytes``, and none is kept.
"""

import http.client
import json
import re
import socket
from typing import Any, Dict, List, Tuple
from urllib.parse import urlsplit

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import secured, tls_context

MEGABYTE = 1024 * 1024
#: More is not held in memory for a look at health.
LARGEST_BODY_LIMIT = 64 * MEGABYTE

#: Options of every probe that reads a page.
PAGE_OPTIONS: Dict[str, Dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "ca_file": {"type": "path"},
    "latency_limit_ms": {"type": "int"},
    "address": {"type": "str"},
}


class PageProbe(Probe):
    """Reads one URL; a subclass judges the body, and may judge the head."""

    VANTAGE = "controller"
    ACCEPT = "*/*"

    def validate(self) -> None:
        url = self.options["url"]
        try:
            self.parts = urlsplit(url)
            self.port = self.parts.port or (443 if self.parts.scheme == "https" else 80)
        except ValueError:
            raise self.bad_option("url with a bad port or host", "http://host[:port]/path")
        if self.parts.scheme not in ("http", "https") or not self.parts.hostname or re.search(r"[\s\x00-\x1f]", url):
            raise self.bad_option("url {!r}".format(self.target()), "an http or https URL with a host")
        if "@" in self.parts.netloc:
            raise self.bad_option("a login in the url", "none: definitions are written to plans and reports")
        if not 1 <= self.body_limit() <= LARGEST_BODY_LIMIT:
            raise self.bad_option("body_limit_bytes {}".format(self.body_limit()), "1 to {}".format(LARGEST_BODY_LIMIT))

    def targets(self) -> List[Tuple[str, int]]:
        return [(self.options["address"] or self.parts.hostname or "", self.port)]

    def target(self) -> str:
        # The query is left out: it may carry a token.
        host = self.parts.netloc.rsplit("@", 1)[-1]
        return "{}://{}{}".format(self.parts.scheme, host, self.path())

    def method(self) -> str:
        return "GET"

    def path(self) -> str:
        return self.parts.path or "/"

    def body_limit(self) -> int:
        return MEGABYTE

    def judge_head(self, response: Any, value: Dict[str, Any]) -> None:
        """Raise Failed unless status and headers are as they should be."""
        if response.status != 200:
            raise Failed("status {}, expected 200".format(response.status), value)

    def judges_body(self) -> bool:
        """Return whether the body is looked at, so that the whole of it is needed."""
        return True

    def judge_body(self, body: bytes, value: Dict[str, Any]) -> None:
        """Raise Failed unless the whole body is as it should be, and add to ``value`` what is compared."""

    def look(self) -> Reading:
        clock = self.context.clock
        started = clock.monotonic()
        connection = self._connect()
        try:
            response, body, complete = self._exchange(connection, started + self.timeout_s)
        except socket.timeout:
            raise Inconclusive("no whole answer within {} s".format(self.timeout_s))
        except (http.client.HTTPException, OSError) as error:
            raise Failed("the connection broke off in the middle of the answer ({})".format(type(error).__name__))
        finally:
            connection.close()
        latency_ms = int((clock.monotonic() - started) * 1000)
        value = {"status": response.status, "latency_ms": latency_ms, "bytes": len(body)}
        self.judge_head(response, value)
        if not complete and self.judges_body():
            raise Inconclusive(
                "the answer is longer than {} bytes and was not read to its end".format(self.body_limit()), value
            )
        self.judge_body(body, value)
        limit = self.options["latency_limit_ms"]
        if limit is not None and latency_ms > limit:
            raise Failed("answered in {} ms, the limit is {} ms".format(latency_ms, limit), value)
        return Reading("status {} in {} ms".format(response.status, latency_ms), value)

    def document(self, body: bytes, value: Dict[str, Any]) -> Any:
        """Return the body as JSON.

        Raises:
            Failed: it is none.
        """
        try:
            return json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise Failed("the answer is no JSON", value)

    def _connect(self) -> Any:
        options, host = self.options, self.parts.hostname or ""
        context = tls_context(options["ca_file"]) if self.parts.scheme == "https" else None
        plain = self.context.connector.connect(host, self.port, self.timeout_s, options["address"])
        return plain if context is None else secured(plain, context, host)

    def _exchange(self, connection: Any, deadline: float) -> Tuple[Any, bytes, bool]:
        """Return the response, its body up to the limit, and whether that was all of it."""
        client = http.client.HTTPConnection(self.parts.hostname or "", self.port)
        client.sock = connection
        path = self.path() + ("?" + self.parts.query if self.parts.query else "")
        headers = {"Host": self.parts.netloc, "Connection": "close", "Accept": self.ACCEPT}
        headers["User-Agent"] = "hospital.patching health probe"
        client.request(self.method(), path, headers=headers)
        response = client.getresponse()
        limit, read = self.body_limit(), 0
        chunks = []
        while read < limit and not response.isclosed():
            remaining = deadline - self.context.clock.monotonic()
            if remaining <= 0:
                raise socket.timeout()
            connection.settimeout(remaining)
            chunk = response.read(min(65536, limit - read))
            if not chunk:
                break
            chunks.append(chunk)
            read += len(chunk)
        if response.length and read < limit:
            raise http.client.IncompleteRead(b"")
        # A body of unknown length that fills the limit has ended only if nothing follows.
        complete = read < limit or response.isclosed() or (response.length is None and not response.read(1))
        return response, b"".join(chunks), complete
