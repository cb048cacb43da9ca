# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``ports`` on recorded tables and on a real socket."""

import socket
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.ports import parse_table

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 51808 1 0000000036b243a7 100
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 51900 1 0000000036b243a8 100
   2: CA0A4D0A:0016 010A4D0A:D2F0 01 00000000:00000000 02:0009D3A4 00000000     0        0 55555 4 0000000036b243a9 20
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 642
   1: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 643
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  312: 00000000:00A1 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 51810 2 0000000000000000 0
  400: CA0A4D0A:C350 01010101:0035 07 00000000:00000000 00:00000000 00000000     0        0 51811 2 0000000000000000 0
"""
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the recording is of a little-endian machine")


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "net").mkdir()
    for name, text in (("tcp", TCP), ("tcp6", TCP6), ("udp", UDP)):
        (tmp_path / "net" / name).write_text(text)
    return tmp_path


def read(make_context, proc, **options):
    return registry.build(dict(options, name="p", type="ports"), make_context(proc=proc)).read()


@little_endian
def test_listening_sockets_are_read_and_connected_ones_are_not(make_context, proc):
    result = read(make_context, proc)
    assert result["verdict"] == "ok"
    assert result["value"]["listening"] == [
        "tcp 0.0.0.0:22",
        "tcp 127.0.0.1:5432",
        "tcp [::1]:631",
        "tcp [::]:22",
        "udp 0.0.0.0:161",
    ]


@little_endian
def test_a_named_port_must_be_listened_on(make_context, proc):
    assert read(make_context, proc, listening=["tcp/22", "udp/161"])["verdict"] == "ok"
    result = read(make_context, proc, listening=["tcp/22", "tcp/443", "udp/22"])
    assert result["verdict"] == "failed"
    assert result["detail"] == "not listening: tcp/443, udp/22"
    assert result["value"]["named"] == ["tcp/22", "tcp/443", "udp/22"]


def test_without_the_kernels_table_it_is_inconclusive(make_context, tmp_path):
    assert read(make_context, tmp_path)["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    "line", ["0: nonsense 00:00 0A", "0: 0000:0016 0:0 0A 0:0 0:0 0 0 0 1", TCP.splitlines()[1][:60]]
)
def test_a_broken_table_is_inconclusive(make_context, proc, line):
    (proc / "net" / "tcp").write_text("header\n" + line + "\n")
    assert read(make_context, proc)["verdict"] == "inconclusive"


def test_an_empty_table_has_no_ports():
    assert parse_table("header\n", "tcp", "0A") == []


def test_a_real_listener_is_found(make_context):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        port = server.getsockname()[1]
        result = read(make_context, "/proc", listening=["tcp/{}".format(port)])
        assert result["verdict"] == "ok"
        assert "tcp 127.0.0.1:{}".format(port) in result["value"]["listening"]


@pytest.mark.parametrize("named", ["443", "tcp/https", "icmp/1", "tcp/443 "])
def test_a_bad_name_of_a_port_is_refused(named):
    with pytest.raises(PatchingError):
        registry.check({"name": "p", "type": "ports", "listening": [named]})
