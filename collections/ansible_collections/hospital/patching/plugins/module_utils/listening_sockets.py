# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets on which a host awaits strangers, as the kernel's tables name them.

Source of the tables: Documentation/networking/proc_net_tcp.rst of the kernel.
"""

import socket
import struct
import sys
from typing import NamedTuple, Optional

#: Table, and the state in which one of its sockets awaits strangers (include/net/tcp_states.h).
TABLES = (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))

#: ``protocol`` is tcp or udp, of either family; ``inode`` is how a process's file descriptors name the socket.
Socket = NamedTuple("Socket", [("protocol", str), ("address", str), ("port", int), ("inode", str)])


def parse_line(line: str, table: str, state: str) -> Optional[Socket]:
    """Return the socket of a line below the table's head, None when it is in another state or bound to a peer.

    Raises:
        ValueError: the line is not one of the kernel's, or was cut.
    """
    fields = line.split()
    if len(fields) < 10:
        raise ValueError("a line of {} has {} columns instead of at least 10".format(table, len(fields)))
    # One that is bound to a peer (a connected client socket of udp) is nobody's service.
    if fields[3] != state or set(fields[2].replace(":", "")) != {"0"}:
        return None
    raw, _colon, port = fields[1].partition(":")
    return Socket(table[:3], _address(raw), int(port, 16), fields[9])


def _address(raw: str) -> str:
    """The kernel prints each 32-bit word in the machine's own byte order."""
    if len(raw) not in (8, 32):
        raise ValueError("{!r} is no address of IPv4 or IPv6".format(raw))
    order = "<I" if sys.byteorder == "little" else ">I"
    packed = b"".join(struct.pack(order, int(raw[i : i + 8], 16)) for i in range(0, len(raw), 8))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
