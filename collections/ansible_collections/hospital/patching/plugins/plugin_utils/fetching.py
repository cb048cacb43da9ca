# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a site's feed from a file or URL, within bounds of size and time, and without showing its credentials."""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

#: Shorter values of a query are no credentials, and to mask them would make messages unreadable.
SHORTEST = 4


class Unavailable(Exception):
    """What was asked for cannot be read; the text says why and holds no credentials."""


class NotThis(Unavailable):
    """This document cannot be read, which says nothing about others at the same place."""


def fetch(place: str, largest: int, limit_s: float, follow: bool = True, bearer: str = "") -> bytes:
    """Return the content at a path, an http(s) URL or a URL of fsspec.

    Args:
        largest: the most bytes that are read.
        limit_s: the most seconds that it takes, all together: a socket's own limit holds only between two bytes.
        follow: whether a redirect is followed, and a proxy used.
        bearer: a token that is sent to an http(s) server (RFC 6750), and to no other that it redirects to.

    Raises:
        Unavailable: nothing more is to be expected from there, as of a server that is down.
        NotThis: the document is missing, unreadable or too large.
    """
    answers: list[bytes | Exception] = []

    def run() -> None:
        try:
            answers.append(
                _remote(place, largest, limit_s, follow, bearer) if _is_url(place) else _local(place, largest)
            )
        except Exception as error:  # noqa: BLE001 (libraries and servers yield anything; it is answered as data)
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    shown = without_credentials(place)
    if not answers:
        raise Unavailable(f"{shown} gave no answer within {limit_s:g} s")
    answer = answers[0]
    if isinstance(answer, bytes):
        if len(answer) > largest:
            raise NotThis(f"{shown} is larger than {largest} bytes")
        return answer
    said = _masked(f"{type(answer).__name__}: {answer}", place, bearer)[:300]
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()
        if answer.code in (400, 404, 410):
            raise NotThis(f"{shown}: {_masked(str(answer), place, bearer)[:300]}")
    if isinstance(answer, FileNotFoundError):
        raise NotThis(f"{shown} is not there")
    if not _is_url(place):
        raise NotThis(f"{shown} cannot be read: {said}")
    raise Unavailable(f"{shown} cannot be read: {said}")


def without_credentials(location: str) -> str:
    """Return a location as messages and reports show it: a URL without login, query and fragment."""
    if not _is_url(location):
        return location
    try:
        parts = urlsplit(location)
    except ValueError:
        return f"{location.partition('://')[0]}://(not shown)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _is_url(location: str) -> bool:
    return "://" in location


def _masked(text: str, place: str, bearer: str) -> str:
    """Return what a library says of a place without the credentials that it repeats."""
    if not _is_url(place):
        return text
    text = text.replace(place, without_credentials(place))
    try:
        parts = urlsplit(place)
    except ValueError:
        return "it is no URL"
    login = parts.netloc.rpartition("@")[0]
    password = login.partition(":")[2]
    values = [value for _key, value in parse_qsl(parts.query)]
    secrets = [login, unquote(login), password, unquote(password), parts.query, unquote(parts.query), *values, bearer]
    for secret in sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _local(place: str, largest: int) -> bytes:
    with Path(place).open("rb") as handle:
        return handle.read(largest + 1)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Answers a redirect with its status, as an error."""

    def redirect_request(self, *_request: object) -> None:
        return None


def _remote(url: str, largest: int, limit_s: float, follow: bool, bearer: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        import fsspec  # noqa: PLC0415 (only a site with such a feed needs it)

        with fsspec.open(url, "rb") as handle:
            read: bytes = handle.read(largest + 1)
            return read
    parts = urlsplit(url)
    login, _at, server = parts.netloc.rpartition("@")
    request = urllib.request.Request(  # noqa: S310
        urlunsplit(parts._replace(netloc=server, fragment="")),
        headers={"Accept": "application/json", "User-Agent": "hospital.patching"},
    )
    if login:
        # Not sent on to wherever the server redirects (RFC 7617; RFC 9110, 15.4).
        encoded = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    if bearer:
        request.add_unredirected_header("Authorization", f"Bearer {bearer}")
    handlers = () if follow else (_Stay(), urllib.request.ProxyHandler({}))
    with urllib.request.build_opener(*handlers).open(request, timeout=limit_s) as answer:
        content: bytes = answer.read(largest + 1)
        return content
