# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate ends, read from its DER encoding (X.690) without any tool.

``TBSCertificate`` is ``[0] version (optional), serialNumber, signature, issuer,
validity, …``, and ``Validity`` is ``notBefore, notAfter`` (RFC 5280, 4.1).
"""

import base64
import binascii
import re
from datetime import datetime, timezone
from typing import Tuple

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def not_after(text: str) -> datetime:
    """Return the end of the first certificate in a PEM file, aware, in UTC.

    Raises:
        ValueError: there is no certificate, or it is damaged.
    """
    match = _PEM.search(text)
    if not match:
        raise ValueError("holds no certificate")
    try:
        der = base64.b64decode("".join(match.group(1).split()), validate=True)
        return _validity_end(der)
    except (binascii.Error, IndexError) as error:
        raise ValueError("damaged certificate: {}".format(error))


def _validity_end(der: bytes) -> datetime:
    start, _end = _inside(der, 0, _SEQUENCE)  # Certificate
    place, _end = _inside(der, start, _SEQUENCE)  # TBSCertificate
    if der[place] == _VERSION:
        place = _next(der, place)
    for _field in ("serialNumber", "signature", "issuer"):
        place = _next(der, place)
    place, _end = _inside(der, place, _SEQUENCE)  # Validity
    place = _next(der, place)  # notBefore
    kind = der[place]
    start, end = _content(der, place)
    stamp = der[start:end].decode("ascii", "replace")
    if kind == _UTC_TIME:  # two digits: 50 and later are of the last century (RFC 5280, 4.1.2.5.1)
        stamp = ("19" if stamp[:2] >= "50" else "20") + stamp
    elif kind != _GENERALIZED_TIME:
        raise ValueError("damaged certificate: its end is no time")
    return datetime.strptime(stamp, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _content(der: bytes, place: int) -> Tuple[int, int]:
    """Return where the content of the element at ``place`` begins and ends."""
    length, start = der[place + 1], place + 2
    if length & 0x80:
        width = length & 0x7F
        length, start = int.from_bytes(der[start : start + width], "big"), start + width
    if start + length > len(der):
        raise ValueError("damaged certificate: an element reaches beyond its end")
    return start, start + length


def _inside(der: bytes, place: int, kind: int) -> Tuple[int, int]:
    if der[place] != kind:
        raise ValueError("damaged certificate: no sequence at byte {}".format(place))
    return _content(der, place)


def _next(der: bytes, place: int) -> int:
    return _content(der, place)[1]
