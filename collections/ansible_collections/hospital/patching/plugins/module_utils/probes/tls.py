# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``tls``: is the certificate trusted, of the right name, and valid for long enough?"""

import ssl
import time
from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive, Reading
from ansible_collections.hospital.patching.plugins.module_utils.probes.wire import (
    HOST_OPTIONS,
    WireProbe,
    tls_context,
)

DAY_S = 24 * 60 * 60


class TlsProbe(WireProbe):
    """Shakes hands as a client does, checks chain and name, and counts the days left."""

    NAME = "tls"
    OPTIONS = dict(
        HOST_OPTIONS,
        port={"type": "int", "default": 443},
        server_name={"type": "str"},
        ca_file={"type": "path"},
        days_left_at_least={"type": "int", "default": 7},
    )

    def validate(self) -> None:
        super().validate()
        if not 0 <= self.options["days_left_at_least"] <= 3650:
            raise self.bad_option("days_left_at_least {}".format(self.options["days_left_at_least"]), "0 to 3650")

    def look(self) -> Reading:
        started = self.context.clock.monotonic()
        context = tls_context(self.options["ca_file"])
        wire = self.opened(started)
        try:
            wire.secure(context, self.options["server_name"] or self.options["host"])
            certificate, protocol = wire.connection.getpeercert(), wire.connection.version()
        finally:
            wire.close()
        return self._judge(certificate, {"protocol": protocol, "latency_ms": self.since_ms(started)})

    def _judge(self, certificate: Dict[str, Any], value: Dict[str, Any]) -> Reading:
        try:
            ends = ssl.cert_time_to_seconds(certificate["notAfter"])
        except (KeyError, ValueError):
            raise Inconclusive("the certificate's end cannot be read", value)
        left = ends - self.context.clock.now().timestamp()
        value["days_left"] = int(left // DAY_S)
        value["not_after"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
        wanted = self.options["days_left_at_least"]
        told = "the certificate ends at {}, in {} days".format(value["not_after"], value["days_left"])
        if left < wanted * DAY_S:
            raise Failed("{}; expected are at least {}".format(told, wanted), value)
        return Reading(told, value)
