# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands off devices: every way in which an address may not be connected to."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.device_segments import DeviceSegments
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


@pytest.mark.parametrize("address", ["10.9.0.1", "::ffff:10.9.0.1", "2001:db8::5", "fe80::1%eth0", "10.8.0.7"])
def test_an_address_of_a_device_is_refused(address):
    assert DeviceSegments(["10.9.0.0/16", "2001:db8::/64", "fe80::/10", "10.8.0.7/32"]).refusal(address)


@pytest.mark.parametrize("address", ["10.10.0.1", "2001:db9::5", "127.0.0.1"])
def test_other_addresses_may_be_connected_to(address):
    assert DeviceSegments(["10.9.0.0/16", "2001:db8::/64"]).refusal(address) is None


def test_undeclared_is_not_the_same_as_none():
    assert "not declared" in DeviceSegments(None).refusal("127.0.0.1")
    assert DeviceSegments([]).refusal("127.0.0.1") is None


def test_a_name_is_no_address():
    assert DeviceSegments([]).refusal("pump1")


@pytest.mark.parametrize("segment", ["10.9.0.0/99", "10.9.0.0", "2001:db8::"])
def test_a_bad_segment_is_refused(segment):
    with pytest.raises(PatchingError, match="patching_device_segments"):
        DeviceSegments([segment])
