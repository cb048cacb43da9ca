# SPDX-License-Identifier: GPL-3.0-or-later
"""Connecting: only to addresses that were checked, and to exactly those."""

import socket

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Inconclusive
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector


def answers(*addresses):
    def resolve(host, port, **_others):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolve


def test_one_address_in_a_device_segment_forbids_all(listener, monkeypatch):
    contacts = []
    port = listener(lambda connection, stop: contacts.append(1))
    monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.1", "10.9.1.1"))
    with pytest.raises(Inconclusive, match=r"10\.9\.1\.1 lies in the device segment 10\.9\.0\.0/16"):
        Connector(["10.9.0.0/16"]).connect("portal1", port, 5)
    assert contacts == []


def test_the_next_address_is_tried(listener, monkeypatch, closed_port):
    port = listener(lambda connection, stop: None)
    monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.2", "127.0.0.1"))
    connection = Connector([]).connect("portal1", port, 5)
    assert connection.getpeername() == ("127.0.0.1", port)
    connection.close()
