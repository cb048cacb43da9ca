# SPDX-License-Identifier: GPL-3.0-or-later
"""What LVM 2.03.16 of Debian 12 was recorded to print in the virtual machine of tests/vm."""

import json

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import lvm_sets, lvm_text

FIELDS = lvm_text.VOLUME_FIELDS.split(",")
#: A thick and a thin volume, mounted, each with a snapshot; columns in the order of FIELDS.
RECORDED = """
Wei3uF-ZOcc-zsQ1-vgWj-zvxu-rHwB-fHwkrL|data|hospital|owi-aos---|268435456||||||253|1|linear|public,origin,thickorigin|site
emL2CK-ARtC-p5oI-OJfY-IAcg-fxNa-FUa3l2|[lvol0_pmspare]|hospital|ewi-------|4194304||||||-1|-1|linear|private,pool,spare|
a0B1eY-NNXV-5izW-7QG3-hEvs-4X2V-YRkEB6|pool|hospital|twi-aotz--|536870912||||7.50|12.11|253|4|thin,pool|private|
M2HXWG-8JCv-JvMm-1xNX-hMAQ-ASj0-LwgWzR|[pool_tdata]|hospital|Twi-ao----|536870912||||||253|3|linear|private,thin,pool,data|
s3EaUK-er2f-KSZj-8EPE-aFda-9XCx-PuyVKq|[pool_tmeta]|hospital|ewi-ao----|4194304||||||253|2|linear|private,thin,pool,metadata|
vdk0Ke-P2Pv-gWSP-niad-iO7w-HnyT-dI9HeP|root|hospital|-wi-ao----|2415919104||||||253|0|linear|public|
i2ADup-l1xW-Z9Df-JaKf-qScN-qJI7-xfKcRH|thin|hospital|Vwi-aotz--|419430400|||pool|9.53||253|6|thin,sparse|public,origin,thinorigin|theirs
XItwRb-MRMb-Ck8C-B0RM-1luU-mFzr-y5m5MZ|ts|hospital|swi-a-s---|16777216|data|Wei3uF-ZOcc-zsQ1-vgWj-zvxu-rHwB-fHwkrL||0.07||253|9|linear|public,snapshot,thicksnapshot|
rtEeu5-6ceR-ae6l-x1K6-1oUw-1aKh-GugPlZ|tt|hospital|Vwi---tz-k|419430400|thin|i2ADup-l1xW-Z9Df-JaKf-qScN-qJI7-xfKcRH|pool|||-1|-1|thin,sparse|public,snapshot,thinsnapshot|
"""
#: The root with its snapshot, which waits for the next boot to be merged; its name is hidden then. Without our tags.
WAITING = """
vdk0Ke-P2Pv-gWSP-niad-iO7w-HnyT-dI9HeP|root|hospital|Owi-aos---|2415919104||||||253|0|linear|public,origin,thickorigin|
oB0EtE-a16G-qOj0-rCcK-Gvgk-7V6q-A91zBD|[hp-20261126T230012-78f24765-0]|hospital|Swi-a-s---|213909504|root|vdk0Ke-P2Pv-gWSP-niad-iO7w-HnyT-dI9HeP||3.22||253|9|linear|public,snapshot,thicksnapshot|
"""
GROUP = (
    '{"report": [{"vg": [{"vg_name":"hospital", "vg_uuid":"m7rKHr-0H6j-v47S-FXt6-nTkA-w0hw-NjCd1x", '
    '"vg_attr":"wz--n-", "vg_free":"5003804672", "vg_extent_size":"4194304", "vg_missing_pv_count":"0"}]}]}'
)


def report(lines):
    """Return the JSON that these lines were recorded as."""
    rows = [dict(zip(FIELDS, line.split("|"))) for line in lines.strip().splitlines()]
    return json.dumps({"report": [{"lv": rows}]})


@pytest.fixture
def volumes():
    return {volume.name: volume for volume in lvm_text.parse_volumes(report(RECORDED))}


def test_volumes_are_told_apart(volumes):
    assert [name for name, one in volumes.items() if lvm_text.is_thin(one)] == ["thin", "tt"]
    assert [name for name, one in volumes.items() if lvm_text.is_open(one)] == [
        "data",
        "pool",
        "pool_tdata",
        "pool_tmeta",
        "root",
        "thin",
    ]
    assert not [name for name, one in volumes.items() if lvm_text.is_merging(one) or lvm_text.broken(one)]
    assert volumes["data"].device == "253:1"
    assert volumes["tt"].device == "", "not active"
    assert (volumes["pool"].data_percent, volumes["pool"].metadata_percent) == (7.5, 12.11)
    assert volumes["ts"].origin_uuid == volumes["data"].uuid
    assert volumes["thin"].tags == ["theirs"]
    assert not lvm_sets.is_full(volumes["ts"])


def test_a_snapshot_of_which_nothing_says_that_it_is_ours_is_not(volumes):
    assert lvm_sets.sets_of(list(volumes.values())) == []
    assert lvm_sets.reverts_of(list(volumes.values())) == []


def test_what_waits_for_its_merge_is_told_by_both_volumes():
    root, snapshot = lvm_text.parse_volumes(report(WAITING))
    assert lvm_text.is_merging(root)
    assert lvm_text.is_merging(snapshot)
    assert (snapshot.name, snapshot.origin_uuid) == ("hp-20261126T230012-78f24765-0", root.uuid)
    assert lvm_text.broken(root) is None is lvm_text.broken(snapshot)


def test_groups():
    (group,) = lvm_text.parse_groups(GROUP)
    assert (group.name, group.free_bytes, group.extent_bytes, group.missing) == ("hospital", 5003804672, 4194304, 0)


def test_numbers_as_newer_ones_print_them():
    text = report(RECORDED).replace('"268435456"', "268435456").replace('"7.50"', "7.50").replace('"253"', "253")
    text = text.replace('"site"', '["site"]')
    assert lvm_text.parse_volumes(text) == lvm_text.parse_volumes(report(RECORDED))


@pytest.mark.parametrize("text", ["", "[]", '{"report": [{"lv": [{"lv_name": "x"}]}]}', '{"report": [{}]}'])
def test_another_report_is_refused(text):
    with pytest.raises(PatchingError, match=r"another form.*expected LVM's JSON"):
        lvm_text.parse_volumes(text)
