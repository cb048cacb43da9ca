# SPDX-License-Identifier: GPL-3.0-or-later
"""What snapper 0.10.4 was recorded to print, and what is refused without touching a disk."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import parse_mountinfo
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_volume, registry
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.snapper_commands import Snapper

CONFIG = '{\n  "FSTYPE": "btrfs",\n  "QGROUP": "",\n  "SUBVOLUME": "/srv/data/",\n  "TIMELINE_CREATE": "no"\n}\n'
LIST = """\
{
  "data": [
    {
      "number": 0,
      "userdata": null
    },
    {
      "number": 7,
      "userdata": {
        "hospital-patching": "20261122T034500Z-ab12cd34-0a",
        "host": "db1"
      }
    }
  ]
}
"""


class Said:
    """A runner that answers each command of snapper by one text."""

    def __init__(self, text):
        self.text, self.asked = text, []

    def run(self, args, **_others):
        self.asked.append(args)
        return Result(args, 0, self.text, "")


def test_a_config_is_read():
    said = Said(CONFIG)
    assert Snapper(said, ["sudo", "snapper"]).subvolume("data") == "/srv/data"
    assert said.asked == [["sudo", "snapper", "--jsonout", "-c", "data", "get-config"]]


def test_a_list_is_read():
    found = Snapper(Said(LIST), ["snapper"]).listed("data")
    assert found == [(7, {"hospital-patching": "20261122T034500Z-ab12cd34-0a", "host": "db1"})]


def test_userdata_is_written_so_that_no_value_begins_another():
    said = Said("12\n")
    assert Snapper(said, ["snapper"]).create("data", "a\nb" + "c" * 200, {"host": "a,run=b", "expires": "03:00"}) == 12
    (words,) = said.asked
    assert words[-1] == "host=a%2Crun%3Db,expires=03%3A00"
    assert words[words.index("--description") + 1] == "a b" + "c" * 157
    assert words[words.index("--cleanup-algorithm") + 1] == "", "no cleanup of snapper's takes it"


@pytest.mark.parametrize(
    ("text", "act", "seen"),
    [
        (CONFIG.replace('"btrfs"', '"lvm(ext4)"'), "subvolume", r"its FSTYPE is 'lvm\(ext4\)'; expected btrfs"),
        ("{}", "subvolume", "its FSTYPE is None"),
        (CONFIG.replace("/srv", "srv"), "subvolume", "snapper get-config: an answer of another form"),
        ("Key | Value\n", "subvolume", "snapper get-config: an answer of another form"),
        ("[]", "listed", "snapper list: an answer of another form"),
        (LIST.replace('"data"', '"root"'), "listed", "snapper list: an answer of another form"),
        ("", "create", "snapper create --print-number: an answer of another form"),
    ],
)
def test_an_answer_that_is_not_known_is_refused(text, act, seen):
    snapper = Snapper(Said(text), ["snapper"])
    with pytest.raises(PatchingError, match=seen):
        getattr(snapper, act)("data", *(["why", {}] if act == "create" else []))


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"configs": []}, "each once"),
        ({"configs": ["root", "root"]}, "each once"),
        ({"configs": ["--root"]}, "configs is '--root'; expected names of snapper's configs"),
        ({"configs": ["a/b"]}, "names of snapper's configs"),
        ({"snapper": []}, "the first words of a command line"),
        ({"at_reboot": ["data"]}, "absolute paths"),
        ({"folder": ".."}, "name of a folder"),
        ({"subvolumes": ["/"]}, "unknown option"),
    ],
)
def test_options_that_are_refused(options, seen):
    with pytest.raises(PatchingError, match=seen):
        registry.create_provider("snapper", options, None, Clock())


def test_a_host_without_snapper_has_none_made(tmp_path):
    class Missing:
        def run(self, args, **_others):
            raise PatchingError(args[0], "No such file or directory", "an executable command", "install it")

    refusal = registry.create_provider("snapper", {}, Missing(), Clock()).available("db1")
    assert refusal == "snapper: No such file or directory; it needs an executable command"


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("/.snapshots/3/snapshot", "@/.snapshots/3/snapshot"),
        ("/srv/data/.snapshots", "@data/.snapshots"),
        ("/srv/database", "@/.snapshots/1/snapshot/srv/database"),
        ("/", "@/.snapshots/1/snapshot"),
        ("/boot/vmlinuz", None),
    ],
)
def test_where_a_path_of_the_host_lies(tmp_path, place, found):
    lines = [
        "27 1 0:31 /@/.snapshots/1/snapshot / rw - btrfs /dev/vda2 rw",
        "28 27 0:31 /@/.snapshots /.snapshots rw - btrfs /dev/vda2 rw",
        "29 27 0:31 /@data /srv/data rw - btrfs /dev/vda2 rw",
        "30 27 8:1 / /boot rw - ext4 /dev/vda1 rw",
    ]
    (tmp_path / "mountinfo").write_text("\n".join(lines) + "\n")
    assert len(parse_mountinfo("\n".join(lines))) == 4
    places = btrfs_volume.Places("", str(tmp_path / "mountinfo"), "", "")
    assert btrfs_volume.TopLevel(None, "/point", "/dev/vda2", "0:31", places).inside(place) == found
