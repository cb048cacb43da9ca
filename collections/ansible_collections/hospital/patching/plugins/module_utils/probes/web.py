# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``http``: does the page a user opens answer as it should?

Nothing is followed (a redirect could lead into a device segment) and no proxy
is used. At most 1 MB of the body is looked at, and none of it is kept.
"""

import http.client
import json
import re
import socket
import ssl
from typing import Any, List, Optional, Tuple
from urllib.parse import urlsplit

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    Failed,
    Inconclusive,
    Probe,
    Reading,
)

BODY_LIMIT = 1024 * 1024


class HttpProbe(Probe):
    """Reads one URL and compares status, headers, JSON values or text."""

    NAME = "http"
    OPTIONS = {
        "url": {"type": "str", "required": True},
        "method": {"type": "str", "choices": ["GET", "HEAD"], "default": "GET"},
        "status": {"type": "list", "elements": "int", "default": [200]},
        "headers_equal": {"type": "dict", "default": {}},
        "json_equal": {"type": "dict", "default": {}},
        "text_regexp": {"type": "str"},
        "ca_file": {"type": "path"},
        "latency_limit_ms": {"type": "int"},
        "address": {"type": "str"},
    }

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
        self.regexp = None
        if self.options["text_regexp"] is not None:
            try:
                self.regexp = re.compile(self.options["text_regexp"])
            except re.error as error:
                raise self.bad_option("text_regexp: {}".format(error), "a regular expression")
        if self.options["method"] == "HEAD" and (self.regexp or self.options["json_equal"]):
            raise self.bad_option("method HEAD with a check of the body", "GET")

    def targets(self) -> List[Tuple[str, int]]:
        return [(self.options["address"] or self.parts.hostname or "", self.port)]

    def target(self) -> str:
        # The query is left out: it may carry a token.
        host = self.parts.netloc.rsplit("@", 1)[-1]
        return "{}://{}{}".format(self.parts.scheme, host, self.parts.path or "/")

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
        self._judge(response, body, complete, value)
        return Reading("status {} in {} ms".format(response.status, latency_ms), value)

    def _connect(self) -> Any:
        context = self._tls() if self.parts.scheme == "https" else None
        host = self.parts.hostname or ""
        plain = self.context.connector.connect(host, self.port, self.timeout_s, self.options["address"])
        if context is None:
            return plain
        try:
            return context.wrap_socket(plain, server_hostname=host)
        except ssl.SSLError as error:
            plain.close()
            raise Failed("TLS: {}".format(getattr(error, "verify_message", "") or error.reason or "handshake failed"))
        except ssl.CertificateError as error:  # Python 3.6: no subclass of SSLError
            plain.close()
            raise Failed("TLS: {}".format(error))
        except socket.timeout:
            plain.close()
            raise Inconclusive("no TLS handshake within {} s".format(self.timeout_s))
        except OSError as error:
            plain.close()
            raise Failed("TLS: the connection broke off ({})".format(type(error).__name__))

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.options["ca_file"])
        except OSError as error:
            raise Inconclusive("ca_file {} cannot be used: {}".format(self.options["ca_file"], error))

    def _exchange(self, connection: Any, deadline: float) -> Tuple[Any, bytes, bool]:
        """Return the response, at most 1 MB of its body, and whether that was all of it."""
        client = http.client.HTTPConnection(self.parts.hostname or "", self.port)
        client.sock = connection
        path = (self.parts.path or "/") + ("?" + self.parts.query if self.parts.query else "")
        headers = {"Host": self.parts.netloc, "Connection": "close", "User-Agent": "hospital.patching health probe"}
        client.request(self.options["method"], path, headers=headers)
        response = client.getresponse()
        body = b""
        while len(body) < BODY_LIMIT and not response.isclosed():
            remaining = deadline - self.context.clock.monotonic()
            if remaining <= 0:
                raise socket.timeout()
            connection.settimeout(remaining)
            chunk = response.read(min(65536, BODY_LIMIT - len(body)))
            if not chunk:
                break
            body += chunk
        if response.length and len(body) < BODY_LIMIT:
            raise http.client.IncompleteRead(b"")
        complete = len(body) < BODY_LIMIT or response.isclosed()
        return response, body, complete

    def _judge(self, response: Any, body: bytes, complete: bool, value: Any) -> None:
        if response.status not in self.options["status"]:
            expected = " or ".join(str(status) for status in self.options["status"])
            raise Failed("status {}, expected {}".format(response.status, expected), value)
        for header, expected in sorted(self.options["headers_equal"].items()):
            if response.getheader(header) != str(expected):
                raise Failed("header {} is not {!r}".format(header, str(expected)), value)
        if self.regexp and not self.regexp.search(body.decode("utf-8", "replace")):
            if not complete:
                raise Inconclusive("no match in the first megabyte, the rest was not read", value)
            raise Failed("the text does not match {!r}".format(self.options["text_regexp"]), value)
        self._judge_json(body, complete, value)
        limit = self.options["latency_limit_ms"]
        if limit is not None and value["latency_ms"] > limit:
            raise Failed("answered in {} ms, the limit is {} ms".format(value["latency_ms"], limit), value)

    def _judge_json(self, body: bytes, complete: bool, value: Any) -> None:
        if not self.options["json_equal"]:
            return
        if not complete:
            raise Inconclusive("the JSON answer is larger than 1 MB", value)
        try:
            document = json.loads(body.decode("utf-8"))
        except ValueError:
            raise Failed("the answer is no JSON", value)
        for path, expected in sorted(self.options["json_equal"].items()):
            # What was seen instead is not said: an answer may hold patient data.
            if not _equal(_at(document, str(path)), expected):
                raise Failed("JSON {} is not {!r}".format(path, expected), value)


def _at(document: Any, path: str) -> Optional[Any]:
    """Return the value at a dotted path such as ``rest.0.mode``, or None."""
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def _equal(seen: Any, expected: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(seen, bool) == isinstance(expected, bool) and seen == expected
