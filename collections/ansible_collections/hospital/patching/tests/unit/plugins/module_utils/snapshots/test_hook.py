# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's own commands as a provider: a real script that keeps restore points in a folder, and how it goes wrong."""

import json
import stat

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping, registry
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Room

RUN, OTHER = "20261122T034500Z-ab12cd34", "20261122T034500Z-ffffffff"
EXPIRES = "2026-11-25T00:00:00Z"

#: As a site might write it: one file a restore point, in a folder, and one volume that is put back.
SCRIPT = """#!/bin/sh
set -eu
store={store}
. "$store/faults"
case $PATCHING_SNAPSHOT_ACTION in
create)
    id=snap-$(ls "$store/points" | wc -l)
    cp "$store/volume" "$store/points/$id.data"
    created=2026-11-22T03:45:10Z
    printf '{{"id": "%s", "run_id": "%s", "host": "%s", "reason": "%s", "created": "%s", "expires": "%s", ' \\
        "$id" "$PATCHING_SNAPSHOT_RUN_ID" "$PATCHING_SNAPSHOT_HOST" "$PATCHING_SNAPSHOT_REASON" "$created" \\
        "$PATCHING_SNAPSHOT_EXPIRES" > "$store/points/$id.json"
    printf '"size_bytes": 5, "array": "san1"}}' >> "$store/points/$id.json"
    {after_create}
    printf '{{"id": "%s", "created": "%s", "size_bytes": 5}}' "$id" "$created"
    ;;
info)
    printf '{{"snapshots": [{{"id": "monthly", "host": "db1", "name": "before patching"}}'
    for file in "$store"/points/*.json; do [ ! -e "$file" ] || {{ printf ','; cat "$file"; }}; done
    printf '], "rooms": [{{"kind": "pool", "name": "san1/p0", "size_bytes": 1000, "free_bytes": 250}}]}}'
    ;;
revert)
    cp "$store/points/$PATCHING_SNAPSHOT_ID.data" "$store/volume"
    printf '{{"id": "%s", "reboot": true, "lun": 7}}' "$PATCHING_SNAPSHOT_ID"
    ;;
delete)
    rm "$store/points/$PATCHING_SNAPSHOT_ID.json" "$store/points/$PATCHING_SNAPSHOT_ID.data"
    printf '{{"id": "%s"}}' "$PATCHING_SNAPSHOT_ID"
    ;;
esac
"""


class San:
    """A folder that the script keeps restore points in."""

    def __init__(self, root):
        self.root = root
        (root / "points").mkdir()
        self.volume = root / "volume"
        self.volume.write_text("before")
        (root / "faults").write_text("")
        self.script = root / "san with blanks"
        self.write()

    def write(self, after_create=":"):
        self.script.write_text(SCRIPT.format(store=self.root, after_create=after_create))
        self.script.chmod(self.script.stat().st_mode | stat.S_IXUSR)

    def fault(self, action, shell):
        """Have the script do something else for an action, and stop."""
        lines = "case $PATCHING_SNAPSHOT_ACTION in {}) {}; exit 0;; esac\n".format(action, shell)
        (self.root / "faults").write_text(lines)

    def provider(self, **more):
        command = [str(self.script)]
        options = dict({"create": command, "info": command, "delete": command, "revert": command}, **more)
        return registry.create_provider("hook", options, Runner(), Clock())

    def points(self):
        return sorted(path.name for path in (self.root / "points").iterdir())


@pytest.fixture
def san(tmp_path):
    return San(tmp_path)


def make(provider, run_id=RUN, host="db1"):
    return keeping.present(provider, run_id, host, "monthly; `id` $(id)", EXPIRES)


def test_create_break_revert_delete(san):
    provider = san.provider()
    kept = make(provider)
    assert kept.changed is True
    assert kept.snapshot._asdict() == {
        "id": "snap-0",
        "provider": "hook",
        "run_id": RUN,
        "host": "db1",
        "reason": "monthly; `id` $(id)",
        "created": "2026-11-22T03:45:10Z",
        "expires": EXPIRES,
        "detail": {"array": "san1", "size_bytes": 5},
    }
    assert make(provider) == keeping.Kept(False, kept.snapshot)
    san.volume.write_text("broken")
    assert provider.revert("snap-0", "db1") == {"snapshot": "snap-0", "reboot": True, "detail": {"lun": 7}}
    assert san.volume.read_text() == "before"
    assert provider.delete("snap-0") is True
    assert san.points() == []
    assert provider.delete("snap-0") is False


def test_a_foreign_one_is_neither_listed_nor_deleted_nor_put_back(san):
    provider = san.provider()
    make(provider)
    assert [one.id for one in provider.list()] == ["snap-0"]
    assert provider.delete("monthly") is False
    with pytest.raises(PatchingError, match=r"info does not list it for host db1.*nothing was put back"):
        provider.revert("monthly", "db1")


def test_another_runs_and_another_hosts_are_told_apart(san):
    provider = san.provider()
    make(provider)
    make(provider, OTHER)
    make(provider, RUN, "db2")
    assert [one.id for one in provider.list(RUN)] == ["snap-0", "snap-4"]
    assert [one.id for one in provider.list(None, "db1")] == ["snap-0", "snap-2"]
    with pytest.raises(PatchingError, match="info does not list it for host db1"):
        provider.revert("snap-4", "db1")
    with pytest.raises(PatchingError, match="it belongs to run {}".format(OTHER)):
        keeping.absent(provider, RUN, "snap-2")


def test_room_is_told_and_too_little_is_refused(san):
    assert san.provider().rooms() == [Room("pool", "san1/p0", 1000, 250)]
    assert san.provider(min_free_bytes=250).available("db1") is None
    provider = san.provider(min_free_bytes=251)
    with pytest.raises(PatchingError, match="host db1: pool san1/p0 has 250 bytes free, the snapshot needs 251"):
        make(provider)
    assert san.points() == []


def test_what_the_sites_system_refuses_is_refused_with_its_words(san):
    san.fault("info", 'echo \'{"snapshots": [], "refusal": "a backup is running"}\'')
    for write in (True, False):
        with pytest.raises(PatchingError, match="host db1: a backup is running"):
            keeping.present(san.provider(), RUN, "db1", "monthly", EXPIRES, write)


def test_without_a_command_to_revert_nothing_is_reverted(san):
    provider = san.provider(revert=[])
    make(provider)
    with pytest.raises(PatchingError, match="asked to revert db1 without a command for it"):
        provider.revert("snap-0", "db1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"create": []}, r"create is \[\]; expected a command, as a list of words"),
        ({"delete": ["san", ""]}, "delete is .*; expected a command"),
        ({"timeout_s": 0}, "timeout_s is 0; expected 1 to 3600 seconds"),
        ({"info_timeout_s": 3601}, "info_timeout_s is 3601"),
        ({"password": "x"}, "unknown option password"),
        ({"info": None}, "no option info"),
    ],
)
def test_a_bad_option_is_refused(san, options, message):
    with pytest.raises(PatchingError, match=message):
        san.provider(**options)


def listing(**entry):
    whole = {"id": "a", "run_id": RUN, "host": "db1", "created": EXPIRES, "expires": EXPIRES}
    whole.update(entry)
    return json.dumps({"snapshots": [whole]})


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("", r"it prints no JSON document \(1 bytes\)"),
        ("secret", r"it prints no JSON document \(7 bytes\)"),
        ("[" * 100000, "it prints no JSON document"),
        ("[]", "it prints list; expected a JSON object"),
        ("{}", "snapshots is NoneType; expected a list"),
        ('{"snapshots": [1]}', "an entry of snapshots is int; expected a JSON object each"),
        ('{"snapshots": [], "refusal": 1}', "refusal is 1; expected text, or null"),
        ('{"snapshots": [], "rooms": 1}', "rooms is no list of JSON objects"),
        ('{"snapshots": [], "rooms": [{"kind": "pool"}]}', "name is None; expected name as text"),
        (
            '{"snapshots": [], "rooms": [{"kind": "pool", "name": "p", "size_bytes": "9", "free_bytes": 1}]}',
            "size_bytes is '9'; expected whole bytes, from 0",
        ),
        (listing(id=7), "id is 7; expected id as text"),
        (listing(host=None), "host is None; expected host as text"),
        (listing(created="yesterday"), "created is 'yesterday'; expected UTC like"),
        (listing(expires=""), "expires is ''; expected expires as text"),
        (listing(size_bytes=-1), "size_bytes is -1; expected whole bytes, from 0"),
        (listing(size_bytes=True), "size_bytes is True; expected whole bytes, from 0"),
        (listing(share=0.5), "is a float"),
        (
            '{"snapshots": [' + ", ".join([json.dumps(json.loads(listing())["snapshots"][0])] * 2) + "]}",
            "a is there twice",
        ),
    ],
)
def test_what_info_prints_wrongly_is_refused_and_nothing_is_made(san, printed, message):
    (san.root / "printed").write_text(printed + "\n")
    san.fault("info", 'cat "$store/printed"')
    with pytest.raises(PatchingError, match=message) as refused:
        make(san.provider())
    assert "the command info of snapshot provider hook" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert san.points() == []


def test_more_than_a_document_is_refused(san):
    san.fault("info", "head -c 1048577 /dev/zero | tr '\\0' ' '")
    with pytest.raises(PatchingError, match="it prints more than 1048576 bytes"):
        san.provider().list()


@pytest.mark.parametrize(
    ("after_create", "message"),
    [
        ("exit 3", "exit 3"),
        ("echo nonsense; exit 0", "it prints no JSON document"),
        ('echo \'{"created": "' + EXPIRES + '", "size_bytes": 1}\'; exit 0', "id is None; expected id as text"),
        ('echo \'{"id": "x", "size_bytes": 1}\'; exit 0', "created is None"),
        ('echo \'{"id": "x", "created": "' + EXPIRES + "\"}'; exit 0", "size_bytes is None; expected whole bytes"),
    ],
)
def test_a_create_that_fails_leaves_nothing_behind(san, after_create, message):
    san.write(after_create)
    provider = san.provider()
    with pytest.raises(PatchingError, match=message):
        make(provider)
    assert san.points() == []


def test_a_create_that_does_not_end_is_ended_and_leaves_nothing_behind(san):
    san.write("sleep 60")
    with pytest.raises(PatchingError, match="no end after 1 s"):
        make(san.provider(timeout_s=1))
    assert san.points() == []


def test_one_that_cannot_be_found_again_is_no_restore_point(san):
    san.write('sed -i "s/{}/{}/" "$store/points/$id.json"'.format(RUN, OTHER))
    with pytest.raises(PatchingError, match="info does not list it as one of run {}".format(RUN)):
        make(san.provider())
    assert san.points() == []


def test_what_can_neither_be_used_nor_deleted_is_told(san):
    san.write("exit 3")
    provider = san.provider(delete=["/nonexistent/san"])
    with pytest.raises(PatchingError, match=r"exit 3.*could not be deleted.*delete snap-0 by hand"):
        make(provider)


def test_when_nobody_can_tell_what_is_left_that_is_told(san):
    san.write('echo "case \\$PATCHING_SNAPSHOT_ACTION in info) exit 5;; esac" > "$store/faults"; exit 3')
    with pytest.raises(PatchingError, match=r"exit 3.*what it has left is not known \(exit 5"):
        make(san.provider())


def test_a_deletion_that_deletes_nothing_is_refused(san):
    provider = san.provider()
    make(provider)
    san.fault("delete", 'printf \'{"id": "%s"}\' "$PATCHING_SNAPSHOT_ID"')
    with pytest.raises(PatchingError, match="info lists it although delete exited with 0"):
        provider.delete("snap-0")


@pytest.mark.parametrize("action", ["delete", "revert"])
def test_an_answer_for_another_one_is_refused(san, action):
    provider = san.provider()
    make(provider)
    san.fault(action, 'echo \'{"id": "snap-9"}\'')
    with pytest.raises(PatchingError, match="it answers for snap-9; expected snap-0"):
        provider.delete("snap-0") if action == "delete" else provider.revert("snap-0", "db1")


def test_a_revert_that_does_not_say_whether_it_needs_a_reboot_needs_none(san):
    provider = san.provider()
    make(provider)
    san.fault("revert", 'echo \'{"id": "snap-0"}\'')
    assert provider.revert("snap-0", "db1") == {"snapshot": "snap-0", "reboot": False, "detail": {}}
    san.fault("revert", 'echo \'{"id": "snap-0", "reboot": "perhaps"}\'')
    with pytest.raises(PatchingError, match="reboot is 'perhaps'; expected true or false"):
        provider.revert("snap-0", "db1")


def test_a_login_in_what_a_command_says_reaches_no_message(san):
    san.fault("info", "echo 'https://san:hunter2@array/api: 503' >&2; exit 1")
    with pytest.raises(PatchingError, match="array/api: 503") as refused:
        san.provider().list()
    assert "hunter2" not in str(refused.value)


def test_a_reason_that_no_environment_can_carry_is_refused(san):
    with pytest.raises(PatchingError, match="a NUL character in what it is asked for"):
        san.provider().create(RUN, "db1", "a\0b", EXPIRES)


def test_every_name_that_is_documented_is_given(san):
    san.fault("info", 'env | grep ^PATCHING_SNAPSHOT_ | sort > "$store/seen"; echo \'{"snapshots": []}\'')
    san.provider().list(None, "db1")
    assert (san.root / "seen").read_text().split() == [
        "PATCHING_SNAPSHOT_ACTION=info",
        "PATCHING_SNAPSHOT_CREATED=",
        "PATCHING_SNAPSHOT_EXPIRES=",
        "PATCHING_SNAPSHOT_HOST=db1",
        "PATCHING_SNAPSHOT_ID=",
        "PATCHING_SNAPSHOT_REASON=",
        "PATCHING_SNAPSHOT_RUN_ID=",
    ]


def test_what_a_revert_loses_is_what_the_sites_system_tells(san):
    provider = san.provider()
    make(provider)
    assert provider.loss("snap-0", "db1") == (None, "the command info tells no changed_bytes of it")
    assert provider.loss("snap-9", "db1") == (None, "there is no such restore point")
    san.fault("info", "echo '{}'".format(listing(changed_bytes=12345)))
    assert provider.loss("a", "db1") == (12345, None)
    san.fault("info", "echo '{}'".format(listing(changed_bytes="much")))
    with pytest.raises(PatchingError, match="changed_bytes is 'much'; expected whole bytes, from 0"):
        provider.loss("a", "db1")
