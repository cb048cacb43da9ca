# SPDX-License-Identifier: GPL-3.0-or-later
"""The UUID of a host's firmware, in all the ways in which it is written."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.firmware import (
    PRODUCT_UUID,
    dmi_uuid,
    same_uuid,
    uuid_forms,
)

#: Of one machine: as vCenter says it, as Linux shows it with SMBIOS 2.7, and its serial number.
PLAIN = "564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f"
TURNED = "1b5c4d56-2e9a-0c7d-55f3-0a1b2c3d4e5f"
SERIAL = "VMware-56 4d 5c 1b 9a 2e 7d 0c-55 f3 0a 1b 2c 3d 4e 5f"


@pytest.mark.parametrize("text", [PLAIN, TURNED, SERIAL, PLAIN.upper(), "{" + PLAIN + "}", " " + PLAIN + "\n"])
def test_every_way_to_write_it_is_the_same_machine(text):
    assert same_uuid(text, PLAIN)
    assert same_uuid(PLAIN, text)
    assert set(uuid_forms(text)) == {PLAIN, TURNED}


def test_another_one_is_not():
    assert not same_uuid(PLAIN, PLAIN[:-1] + "e")
    assert not same_uuid(PLAIN, "5c1b564d" + PLAIN[8:])


@pytest.mark.parametrize("text", ["", "portal1", PLAIN[:-1], PLAIN + "0", "0" * 32, "f" * 32, "Not Settable"])
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  # its text is the one given, which may be empty
        uuid_forms(text)


def test_it_is_read_of_the_host(tmp_path):
    path = tmp_path / PRODUCT_UUID
    assert dmi_uuid(str(tmp_path)) is None
    path.parent.mkdir(parents=True)
    for text, expected in ((TURNED.upper() + "\n", TURNED), ("Not Settable\n", None), ("0" * 8 + "-" * 4, None)):
        path.write_text(text)
        assert dmi_uuid(str(tmp_path)) == expected
    path.write_bytes(b"\xff\xfe")
    assert dmi_uuid(str(tmp_path)) is None
