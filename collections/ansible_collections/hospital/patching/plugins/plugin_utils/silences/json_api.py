# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a monitor's JSON API, within bounds of size and time, and without showing the login."""

from __future__ import annotations

import http.client
import ipaddress
import json
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import segments
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import Access

#: The most bytes of one answer: Alertmanager lists silences for five days after they have ended.
LARGEST = 20_000_000
SHOWN = 300
_EXPECTED = "a URL like https://HOST[:PORT][/PATH], without login, query and fragment"


def read_url(value: object) -> str:
    """Return the address of a monitor, without a slash at its end.

    Raises:
        ValueError: saying what was expected.
    """
    try:
        parts = urlsplit(str(value))
        known = isinstance(value, str) and parts.scheme in ("http", "https") and bool(parts.hostname)
        known = known and parts.port != 0
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if not known or "@" in parts.netloc or any(sign in str(value) for sign in "?#") or str(value).split() != [value]:
        raise ValueError(_EXPECTED)
    return str(value).rstrip("/")


def problem(url: str, access: Access) -> str | None:
    """Return why nothing may be sent to ``url``, as far as its own text says, or None."""
    parts = urlsplit(url)
    if access.login and parts.scheme == "http" and not _is_loopback(parts):
        return f"{url} would carry the login unencrypted; use https"
    return None


def _is_loopback(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


class _Stay(urllib.request.HTTPRedirectHandler):
    """Answers a redirect with its status: the login goes to no other server."""

    def redirect_request(self, *_request: object) -> None:
        return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return what speaks this URL's scheme and nothing else: certificates are read only where they are needed."""
    opener = urllib.request.OpenerDirector()
    request = urllib.request
    secure = [request.HTTPSHandler()] if url.startswith("https:") else [request.HTTPHandler()]
    for handler in (*secure, _Stay(), request.HTTPDefaultErrorHandler(), request.HTTPErrorProcessor()):
        opener.add_handler(handler)
    return opener


class JsonApi:
    """One monitor. Nothing is followed, and no proxy is used."""

    def __init__(self, url: str, access: Access) -> None:
        self.url, self.access = url, access

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return status and JSON content of an answer; text that is no JSON is returned as it is, empty as None.

        Raises:
            PatchingError: nothing may be sent, or no answer can be had; without the login.
        """
        self._require_contact(method, path)
        answers: list[tuple[int, bytes]] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                answers.append(self._send(method, path, body))
            except (OSError, ValueError, http.client.HTTPException) as error:
                errors.append(error)

        # A socket's own limit holds only between two bytes.
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self.access.limit_s)
        if not answers:
            error = errors[0] if errors else TimeoutError()
            if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
                raise self.failed(method, path, f"no answer within {self.access.limit_s:g} s")
            raise self.failed(method, path, f"{type(error).__name__}: {error}")
        status, content = answers[0]
        if len(content) > LARGEST:
            raise self.failed(method, path, f"an answer of more than {LARGEST} bytes")
        return status, _read(content)

    def failed(self, method: str, path: str, seen: str) -> PatchingError:
        """Return the error of a request; what a server or library repeats of the login is left out."""
        told = " ".join(self.access.login.masked(seen).split())[:SHOWN]
        return PatchingError(
            f"{method} {self.url}{path}",
            told,
            "an answer of the monitor's API",
            "look whether it runs, and at patching_silence and patching_silence_login; then run again",
        )

    def _require_contact(self, method: str, path: str) -> None:
        why = problem(self.url, self.access)
        if why is None:
            server = urlsplit(self.url).hostname or ""
            found = segments.contact(server, server, "managed", self.access.segments)
            why = None if found.allowed else f"it is not connected to: {found.reason}"
        if why is not None:
            raise self.failed(method, path, why)

    def _send(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "User-Agent": "hospital.patching"}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.url}{path}", content, headers, method=method)  # noqa: S310 (read_url)
        if self.access.login:
            request.add_unredirected_header("Authorization", self.access.login.header())
        try:
            with _opener(self.url).open(request, timeout=self.access.limit_s) as answer:
                return answer.status, answer.read(LARGEST + 1)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(LARGEST + 1)


def _read(content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        found = json.loads(content)
        # Half a surrogate pair can stand in no ledger: an error in it would keep a host from its return.
        json.dumps(found, ensure_ascii=False).encode()
        return found
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")
