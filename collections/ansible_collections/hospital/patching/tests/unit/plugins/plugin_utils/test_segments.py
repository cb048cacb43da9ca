# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import contact

DEVICES = (
    "10.9.0.0/16",
    "2001:db8:9::/48",
)


def resolver(*addresses):
    return lambda _name: list(addresses)


def no_answer(_name):
    raise OSError("Name or service not known")


def never(_name):
    raise AssertionError("a locked host's name is not even looked up")


def ask(*addresses, policy="managed", segments=DEVICES):
    return contact("portal1", "portal1.example.org", policy, segments, resolver(*addresses))


def test_a_host_outside_the_segments_may_be_contacted_at_its_addresses():
    found = ask("10.1.0.5", "2001:db8:1::5")
    assert found.allowed
    assert found.addresses == ("10.1.0.5", "2001:db8:1::5")


@pytest.mark.parametrize(
    "address", ["10.9.0.1", "10.9.255.255", "2001:db8:9::7", "::ffff:10.9.3.4", "::ffff:a09:304", "2001:db8:9::7%eth0"]
)
def test_a_host_inside_a_segment_may_not(address):
    assert not ask(address).allowed


def test_one_address_inside_is_enough():
    found = ask("10.1.0.5", "10.9.0.1")
    assert not found.allowed
    assert "10.9.0.0/16" in found.reason


def test_segments_written_as_mapped_addresses_hold_too():
    assert not ask("10.9.3.4", segments=["::ffff:10.9.0.0/112"]).allowed


def test_a_locked_host_is_never_contacted_nor_looked_up():
    found = contact("pump1", "10.1.0.5", "vendor_locked", [], never)
    assert not found.allowed
    assert found.addresses == ()


def test_undeclared_segments_mean_no_contact():
    found = contact("portal1", "10.1.0.5", "observed", None, never)
    assert not found.allowed
    assert "patching_device_segments" in found.reason


def test_an_empty_declaration_is_one():
    assert ask("10.9.0.1", segments=[]).allowed


def test_a_name_that_does_not_resolve_means_no_contact():
    assert "does not resolve" in contact("portal1", None, "managed", [], no_answer).reason
    assert not contact("portal1", None, "managed", [], no_answer).allowed


def test_a_name_without_addresses_means_no_contact():
    assert not ask().allowed


def test_an_answer_that_is_no_address_means_no_contact():
    assert not ask("not an address").allowed


def test_the_hosts_name_stands_in_for_a_missing_address():
    asked = []
    contact("portal1", None, "managed", [], lambda name: asked.append(name) or ["10.1.0.1"])
    assert asked == ["portal1"]


@pytest.mark.parametrize("segment", ["10.9.0.0/33", "devices", "", "10.9", 10, None])
def test_a_segment_that_cannot_be_read_is_refused(segment):
    with pytest.raises(PatchingError, match="patching_device_segments"):
        ask("10.1.0.5", segments=[segment])


def test_a_segment_with_host_bits_is_refused_and_both_meanings_are_offered():
    with pytest.raises(PatchingError, match=r"10\.9\.0\.0/16.*10\.9\.1\.7/32"):
        ask("10.1.0.5", segments=["10.9.1.7/16"])


@pytest.mark.parametrize(
    ("segment", "one"), [("10.9.0.0", "10.9.0.0/32"), ("10.9.1.7", "10.9.1.7/32"), ("2001:db8:9::", "2001:db8:9::/128")]
)
def test_a_segment_without_prefix_length_is_refused_because_it_would_be_one_host(segment, one):
    with pytest.raises(PatchingError, match=f"a prefix length: .*{one} for the one host"):
        ask("10.1.0.5", segments=[segment])


@given(st.ip_addresses(v=4), st.integers(min_value=0, max_value=32))
def test_no_address_of_a_segment_is_ever_allowed(address, bits):
    segment = ip_network(f"{address}/{bits}", strict=False)
    for form in (str(address), f"::ffff:{address}"):
        assert not ask(form, segments=[str(segment)]).allowed
