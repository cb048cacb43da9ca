# SPDX-License-Identifier: GPL-3.0-or-later
"""The only way in which a probe connects: resolve, check against device segments, connect."""

import errno
import socket
from typing import Any, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.device_segments import DeviceSegments
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Inconclusive


class Connector:
    """Connects to addresses that it has checked itself, so that no second resolution can slip in between."""

    def __init__(self, segments: Optional[List[str]], clock: Optional[Clock] = None) -> None:
        self.segments = DeviceSegments(segments)
        self.clock = clock or Clock()

    def connect(
        self,
        host: str,
        port: int,
        timeout: float,
        address: Optional[str] = None,
        kind: int = socket.SOCK_STREAM,
    ) -> Any:
        """Return a connected socket whose operations time out at ``timeout`` seconds.

        One of the kind ``SOCK_DGRAM`` has sent nothing yet, so that nothing was refused either.

        Raises:
            Failed: the connection was refused or reset.
            Inconclusive: the name does not resolve, a device segment forbids
                it, or no answer came in time.
        """
        deadline = self.clock.monotonic() + timeout
        infos = self._resolve(address or host, port, kind)
        # One address in a device segment is enough: which one is connected to is chance.
        for info in infos:
            refusal = self.segments.refusal(info[4][0])
            if refusal:
                raise Inconclusive("not connected: " + refusal)
        last: Optional[OSError] = None
        for family, _kind, protocol, _name, where in infos:
            remaining = deadline - self.clock.monotonic()
            if remaining <= 0:
                break
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(remaining)
                connection.connect(where)
                return connection
            except OSError as error:
                connection.close()
                # A refusal says more than a missing IPv6 route.
                if last is None or _refused(error):
                    last = error
        if last is not None and _refused(last):
            raise Failed("{}:{} refused the connection".format(host, port))
        reason = "no answer in time" if last is None or isinstance(last, socket.timeout) else str(last)
        raise Inconclusive("{}:{} could not be reached: {}".format(host, port, reason))

    @staticmethod
    def _resolve(host: str, port: int, kind: int) -> List[Any]:
        try:
            return socket.getaddrinfo(host, port, type=kind)
        except (OSError, UnicodeError) as error:
            raise Inconclusive("{} does not resolve: {}".format(host, error))


def _refused(error: OSError) -> bool:
    return error.errno in (errno.ECONNREFUSED, errno.ECONNRESET)
