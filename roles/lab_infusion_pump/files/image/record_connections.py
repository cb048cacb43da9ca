#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that only listens: it records every IP packet that anyone sends it.

It reads below the transport protocols, so a connection to any port, open or
not, a ping, or a single datagram is caught. One JSON line a packet.
"""

import datetime
import json
import pathlib
import socket
import struct
import sys

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
VLAN_TAGS = (0x8100, 0x88A8)
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}


def describe(frame):
    """What an Ethernet frame with an IP packet says, None for any other frame."""
    kind, start = struct.unpack("!H", frame[12:14])[0], 14
    while kind in VLAN_TAGS:
        kind, start = struct.unpack("!H", frame[start + 2 : start + 4])[0], start + 4
    packet = frame[start:]
    if kind == ETH_P_IP and len(packet) >= 20:
        header, protocol = (packet[0] & 0x0F) * 4, packet[9]
        source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    elif kind == ETH_P_IPV6 and len(packet) >= 40:
        header, protocol = 40, packet[6]
        source = socket.inet_ntop(socket.AF_INET6, packet[8:24])
        target = socket.inet_ntop(socket.AF_INET6, packet[24:40])
    else:
        return None
    record = {"source": source, "target": target, "protocol": PROTOCOLS.get(protocol, str(protocol))}
    body = packet[header:]
    has_ports = protocol in (6, 17, 132) and len(body) >= 4
    record["source_port"], record["port"] = struct.unpack("!HH", body[:4]) if has_ports else (None, None)
    record["syn"] = protocol == 6 and len(body) >= 14 and body[13] & 0x12 == 0x02
    return record


def is_attempt(record):
    """Neighbour and group housekeeping of the network itself is nobody's attempt to connect."""
    address = record["target"].lower()
    is_group = address.startswith("ff") if ":" in address else 224 <= int(address.split(".")[0]) <= 239
    return not is_group and not (record["protocol"] == "icmpv6" and address.startswith("fe80"))


def main():
    """Record until stopped."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    listener.bind(("eth0", 0))
    with pathlib.Path(sys.argv[1]).open("a", buffering=1) as log:
        print("recording", flush=True)
        while True:
            frame, address = listener.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            record = describe(frame)
            if record and is_attempt(record):
                now = datetime.datetime.now(datetime.UTC)
                log.write(json.dumps(dict(record, time=now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))) + "\n")


if __name__ == "__main__":
    main()
