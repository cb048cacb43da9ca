# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving users away and back: proven before and afterwards, taken back when it fails, and nobody else's undone."""

import os
import socket

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.drains import crm_status, moving
from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainContext
from ansible_collections.hospital.patching.plugins.module_utils.drains.registry import build
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result, Runner

RUN_ID = "20261122T080000Z-ab12cd34"
RECORDED = os.path.join(os.path.dirname(__file__), "recorded")


def recorded(name):
    with open(os.path.join(RECORDED, "crm_mon_{}.xml".format(name))) as handle:
        return handle.read()


class Scripted:
    """A runner that answers by the first words of a command; ``then`` says what a command changes."""

    def __init__(self, answers, then=()):
        self.answers = dict(answers)
        self.then = dict(then)
        self.calls = []

    def run(self, args, check=True, **_others):
        said = " ".join(args)
        self.calls.append(said)
        for start, change in self.then.items():
            if said.startswith(start):
                self.answers.update(change)
        found = next((answer for start, answer in self.answers.items() if start in said), None)
        rc, out = (0, "") if found is None else found
        if rc and check:
            raise PatchingError(args[0], "exit {}: {}".format(rc, out), "exit 0", "correct it")
        return Result(list(args), rc, out, "")

    def changes(self, start):
        return [call for call in self.calls if call.startswith(start)]


@pytest.fixture
def mark(tmp_path):
    return moving.Mark(str(tmp_path / "state"), "pacs1", RUN_ID)


@pytest.fixture
def port():
    """A port of loopback that answers, as a service behind a virtual address does."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield listening.getsockname()[1]


def provider(name, options, runner, clock, wait_s=5):
    return build(name, options, DrainContext(runner, clock, Connector([]), "pacs1", wait_s))


# --- Pacemaker: what crm_mon 2.1.5 printed -------------------------------------------

MON = "crm_mon"
NODE = {"pacemaker": "pacs1"}


def cluster(serving="serving", then=()):
    return Scripted({MON: (0, recorded(serving))}, {start: {MON: (0, recorded(name))} for start, name in then})


STANDBY = ("crm_standby --node pacs1 --update on", "standby")
BACK = ("crm_standby --node pacs1 --delete", "back")


def test_a_node_is_put_into_standby_and_comes_back(mark, sleepless_clock):
    runner = cluster(then=[STANDBY, BACK])
    drained = moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark)
    assert drained == (True, {"left": 0})
    assert mark.is_set()
    again = moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark)
    assert (again.changed, len(runner.changes("crm_standby"))) == (False, 1)
    assert moving.give_back(provider("pacemaker", NODE, runner, sleepless_clock), mark).changed
    assert not mark.is_set()
    assert not moving.give_back(provider("pacemaker", NODE, runner, sleepless_clock), mark).changed


def test_resources_that_stay_are_refused_and_the_node_is_taken_back(mark, sleepless_clock):
    runner = cluster(then=[(STANDBY[0], "moving"), BACK])
    with pytest.raises(PatchingError) as refusal:
        moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark)
    assert "3 resources are still on node pacs1; that was taken back" in str(refusal.value)
    assert len(runner.changes("crm_standby")) == 2
    assert not mark.is_set()


def test_a_node_that_somebody_else_has_put_into_standby_is_refused(mark, sleepless_clock):
    runner = cluster("standby")
    other = moving.Mark(os.path.dirname(mark.path), "pacs1", "20261121T080000Z-ffffffff")
    other.set()
    with pytest.raises(PatchingError, match="not by a run"):
        moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark)
    assert not moving.give_back(provider("pacemaker", NODE, runner, sleepless_clock), mark).changed
    assert runner.changes("crm_standby") == [], "the way back of a refused host must not end another's standby"
    assert other.is_set()


def test_a_host_that_is_out_by_nobody_knows_whom_is_not_brought_back_and_not_called_returned(mark, sleepless_clock):
    runner = cluster("standby")
    with pytest.raises(PatchingError, match="not by this run"):
        moving.give_back(provider("pacemaker", NODE, runner, sleepless_clock), mark)
    with pytest.raises(PatchingError, match="not by a run"):
        moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark, False)
    assert not os.path.exists(os.path.dirname(mark.path)), "check mode writes nothing"
    assert runner.changes("crm_standby") == []


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ('with_quorum="true"', 'with_quorum="false"', "no quorum"),
        ('maintenance-mode="false"', 'maintenance-mode="true"', "maintenance mode"),
        ('name="pacs2" id="2" online="true"', 'name="pacs2" id="2" online="false"', "node pacs2 is offline"),
        ('name="pacs2" id="2" online="true" standby="false"', 'name="pacs2" online="true" standby="true"', "standby"),
        ('name="pacs1" id="1" online="true"', 'name="pacs1" id="1" online="false"', "node pacs1 is offline"),
        ('managed="true" failed="false"', 'managed="true" failed="true"', "vip is failed"),
        ('blocked="false" managed="true"', 'blocked="false" managed="false"', "vip is unmanaged"),
        ('name="pacs1"', 'name="pacs9"', "the cluster has no node pacs1"),
    ],
)
def test_a_cluster_that_is_ill_is_refused_before_anything_is_done(mark, sleepless_clock, before, after, seen):
    runner = Scripted({MON: (0, recorded("serving").replace(before, after))})
    with pytest.raises(PatchingError) as refusal:
        moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark)
    assert seen in str(refusal.value)
    assert runner.changes("crm_standby") == []
    assert not mark.is_set()


def test_a_host_that_was_refused_has_nothing_to_be_returned_from(mark, sleepless_clock):
    ill = recorded("serving").replace('name="pacs2" id="2" online="true"', 'name="pacs2" id="2" online="false"')
    runner = Scripted({MON: (0, ill.replace('managed="true" failed="false"', 'managed="true" failed="true"'))})
    with pytest.raises(PatchingError):
        moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark)
    assert not moving.give_back(provider("pacemaker", NODE, runner, sleepless_clock), mark).changed
    alone = Scripted(dict(PRIMARY, pg_stat_replication=(0, "")))
    assert not moving.give_back(provider("postgresql", SWITCH, alone, sleepless_clock), mark).changed


def test_without_a_cluster_its_own_words_are_told(mark, sleepless_clock):
    runner = Scripted({MON: (102, recorded("no_cluster"))})
    with pytest.raises(PatchingError, match="Connection to cluster failed: Connection refused"):
        moving.drain(provider("pacemaker", NODE, runner, sleepless_clock), mark)


def test_after_a_reboot_the_cluster_is_waited_for(mark, sleepless_clock):
    class Starting(Scripted):
        def run(self, args, **more):
            if len(self.calls) == 3:
                self.answers[MON] = (0, recorded("standby"))
            return Scripted.run(self, args, **more)

    mark.set()
    runner = Starting({MON: (102, recorded("no_cluster"))}, {BACK[0]: {MON: (0, recorded("back"))}})
    assert moving.give_back(provider("pacemaker", NODE, runner, sleepless_clock), mark).changed


def test_an_older_crm_mon_is_asked_in_its_own_way():
    text = recorded("serving").replace("pacemaker-result", "crm_mon")
    runner = Scripted({"--output-as=xml": (64, ""), "--as-xml": (0, text)})
    assert sorted(crm_status.read(runner).nodes) == ["pacs1", "pacs2"]


@pytest.mark.parametrize("text", ["", "Error: cluster is not available", "<html/>", "<pacemaker-result/>"])
def test_what_is_no_state_of_a_cluster_is_refused(text):
    with pytest.raises(PatchingError, match="the state of a cluster"):
        crm_status.parse(text)


# --- keepalived ------------------------------------------------------------------------

#: As iproute2 6.1 prints them.
LOOPBACK = "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n"
WITH = (0, LOOPBACK + "2: eth0    inet 127.0.0.2/24 scope global eth0\\       valid_lft forever\n")
WITHOUT = (0, LOOPBACK)
ACTIVE = (0, "active\n")


class Vrrp(Scripted):
    """keepalived as far as it shows: the address leaves when the file is there, and a partner takes it."""

    def __init__(self, path, moves=True):
        Scripted.__init__(self, {"systemctl is-active": ACTIVE})
        self.path, self.moves = path, moves

    def run(self, args, **more):
        self.answers["ip -o addr"] = WITHOUT if self.moves and os.path.exists(self.path) else WITH
        return Scripted.run(self, args, **more)


def vip(tmp_path, port, **more):
    path = str(tmp_path / "drain")
    return dict({"keepalived": "127.0.0.2", "port": port, "peers": ["127.0.0.1"], "file": path, "home": True}, **more)


@pytest.fixture
def answering(port, monkeypatch):
    """The virtual address answers at the port wherever it is; a partner that is down does not."""
    connect = Connector.connect

    def connect_to(self, host, number, timeout, address=None):
        return connect(self, "127.0.0.1" if host == "127.0.0.2" else host, number, timeout, address)

    monkeypatch.setattr(Connector, "connect", connect_to)
    return port


def test_the_address_moves_away_and_comes_home(tmp_path, mark, answering, sleepless_clock):
    options = vip(tmp_path, answering)
    runner = Vrrp(options["file"])
    assert moving.drain(provider("keepalived", options, runner, sleepless_clock), mark).changed
    with open(options["file"]) as handle:
        assert handle.read() == "1\n", "vrrp_track_file multiplies it by its weight"
    assert os.stat(options["file"]).st_mode & 0o777 == 0o644
    assert moving.give_back(provider("keepalived", options, runner, sleepless_clock), mark).changed
    assert not os.path.exists(options["file"])


def test_an_address_that_stays_is_refused_and_the_file_removed(tmp_path, mark, answering, sleepless_clock):
    options = vip(tmp_path, answering)
    with pytest.raises(PatchingError, match=r"still on this host.*that was taken back"):
        moving.drain(provider("keepalived", options, Vrrp(options["file"], moves=False), sleepless_clock), mark)
    assert not os.path.exists(options["file"])


def test_an_address_that_nobody_has_taken_is_refused(tmp_path, mark, answering, sleepless_clock):
    options = vip(tmp_path, answering, home=False, keepalived="127.0.0.3", file=str(tmp_path / "drain"))
    with pytest.raises(PatchingError, match=r"no partner answers at 127\.0\.0\.3"):
        moving.drain(provider("keepalived", options, Vrrp(options["file"]), sleepless_clock), mark)


def test_a_partner_that_does_not_serve_is_seen_before(tmp_path, mark, answering, sleepless_clock):
    options = vip(tmp_path, answering, peers=["127.0.0.1", "127.0.0.9"])
    with pytest.raises(PatchingError, match=r"partner 127\.0\.0\.9 does not serve"):
        moving.drain(provider("keepalived", options, Vrrp(options["file"]), sleepless_clock), mark)
    assert not os.path.exists(options["file"])


def test_a_keepalived_that_is_down_is_seen_before_and_afterwards(tmp_path, mark, answering, sleepless_clock):
    options = vip(tmp_path, answering)
    runner = Vrrp(options["file"])
    runner.answers["systemctl is-active"] = (3, "failed\n")
    with pytest.raises(PatchingError, match=r"keepalived\.service is failed"):
        moving.drain(provider("keepalived", options, runner, sleepless_clock), mark)
    mark.set()
    with pytest.raises(PatchingError, match=r"keepalived\.service is failed"):
        moving.give_back(provider("keepalived", options, runner, sleepless_clock), mark)


def test_an_address_that_does_not_come_home_is_no_return(tmp_path, mark, answering, sleepless_clock):
    options = vip(tmp_path, answering, keepalived="127.0.0.4")
    mark.set()
    with pytest.raises(PatchingError, match=r"127\.0\.0\.4 has not come back"):
        moving.give_back(provider("keepalived", options, Vrrp(options["file"]), sleepless_clock), mark)


def test_check_mode_only_looks(tmp_path, mark, answering, sleepless_clock):
    options = vip(tmp_path, answering)
    assert moving.drain(provider("keepalived", options, Vrrp(options["file"]), sleepless_clock), mark, False).changed
    assert not os.path.exists(options["file"])
    assert not mark.is_set()


# --- interface engine: real commands -----------------------------------------------------


def engine(tmp_path, queued, **more):
    """Return an engine whose state is files: intake ``open``, and a queue that loses one message at each look."""
    (tmp_path / "open").write_text("")
    (tmp_path / "queue").write_text("{}\n".format(queued))
    queue = "cd {}; n=$(cat queue); echo $n; [ $n = 0 ] || [ -e stuck ] || echo $((n - 1)) > queue".format(tmp_path)
    return dict(
        {
            "interface_engine": "mirth",
            "stop": ["rm", str(tmp_path / "open")],
            "start": ["touch", str(tmp_path / "open")],
            "queue": ["sh", "-c", queue],
            "accepts": ["test", "-e", str(tmp_path / "open")],
        },
        **more,
    )


def test_an_engine_takes_nothing_in_and_finishes_what_it_has(tmp_path, mark, sleepless_clock):
    options = engine(tmp_path, 3)
    assert moving.drain(provider("interface_engine", options, Runner(), sleepless_clock), mark) == (True, {"left": 0})
    assert not (tmp_path / "open").exists()
    assert moving.give_back(provider("interface_engine", options, Runner(), sleepless_clock), mark).changed
    assert (tmp_path / "open").exists()


def test_a_queue_that_does_not_empty_is_refused_and_the_intake_opened(tmp_path, mark, sleepless_clock):
    (tmp_path / "stuck").write_text("")
    with pytest.raises(PatchingError, match="7 are not finished; that was taken back"):
        moving.drain(provider("interface_engine", engine(tmp_path, 7), Runner(), sleepless_clock), mark)
    assert (tmp_path / "open").exists()


def test_by_choice_it_goes_on_and_says_how_many_are_left(tmp_path, mark, sleepless_clock):
    (tmp_path / "stuck").write_text("")
    options = engine(tmp_path, 7, when_limit="go_on")
    assert moving.drain(provider("interface_engine", options, Runner(), sleepless_clock), mark) == (True, {"left": 7})


def test_a_queue_that_cannot_be_counted_is_refused_before_the_intake_is_closed(tmp_path, mark, sleepless_clock):
    options = engine(tmp_path, 1, queue=["echo", "none"])
    with pytest.raises(PatchingError, match="printed 'none'"):
        moving.drain(provider("interface_engine", options, Runner(), sleepless_clock), mark)
    assert (tmp_path / "open").exists()


# --- PostgreSQL ----------------------------------------------------------------------------

REPLICA = {"pg_is_in_recovery()": (0, "t\n"), "pg_stat_wal_receiver": (0, "streaming|0\n")}
PRIMARY = {"pg_is_in_recovery()": (0, "f\n"), "pg_stat_replication": (0, "db2|10.0.0.2|streaming|0\n")}
SWITCH = {"postgresql": "db2", "switchover": ["switchover"], "back": ["switchback"]}


def test_a_primary_switches_over_and_back(mark, sleepless_clock):
    runner = Scripted(PRIMARY, {"switchover": REPLICA, "switchback": PRIMARY})
    assert moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark).changed
    assert not moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark).changed
    assert moving.give_back(provider("postgresql", SWITCH, runner, sleepless_clock), mark).changed
    assert len(runner.changes("switch")) == 2


@pytest.mark.parametrize(
    ("rows", "seen"),
    [
        ("", "no replicas of the name db2"),
        ("db3|10.0.0.3|streaming|0\n", "no replicas of the name db2"),
        ("db2|10.0.0.2|catchup|0\n", "in state catchup"),
        ("db2|10.0.0.2|streaming|16777216\n", "lags by 16777216 bytes"),
        ("db2|10.0.0.2|streaming|-1\n", "lags by -1 bytes"),
    ],
)
def test_a_replica_that_is_not_ready_is_refused_and_nothing_switched(mark, sleepless_clock, rows, seen):
    runner = Scripted(dict(PRIMARY, pg_stat_replication=(0, rows)))
    with pytest.raises(PatchingError) as refusal:
        moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark)
    assert seen in str(refusal.value)
    assert runner.changes("switch") == []


@pytest.mark.parametrize(
    "after", [{}, {"pg_is_in_recovery()": (0, "t\n"), "pg_stat_wal_receiver": (0, "")}, {"switchover": (1, "no")}]
)
def test_after_a_switchover_that_failed_nothing_is_switched_or_promoted(mark, sleepless_clock, after):
    runner = Scripted(PRIMARY, {"switchover": after})
    with pytest.raises(PatchingError, match="nothing is switched or promoted by itself"):
        moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark)
    assert len(runner.changes("switch")) == 1


def test_a_host_whose_switchover_failed_is_returned_as_it_is_and_never_switched_back(mark, sleepless_clock):
    class Half(Scripted):
        def run(self, args, **more):
            if args == ["switchover"]:
                self.calls.append("switchover")
                self.answers.update(REPLICA)
                raise PatchingError("switchover", "exit 1: the old primary was not rewound", "exit 0", "look")
            return Scripted.run(self, args, **more)

    runner = Half(PRIMARY, {"switchback": PRIMARY})
    with pytest.raises(PatchingError, match="was not rewound"):
        moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark)
    with pytest.raises(PatchingError, match="not become the primary again"):
        moving.give_back(provider("postgresql", SWITCH, runner, sleepless_clock), mark)
    assert runner.changes("switch") == ["switchover"]
    runner.answers.update(PRIMARY)
    moving.give_back(provider("postgresql", SWITCH, runner, sleepless_clock), mark)
    assert not mark.is_set(), "a person has switched back"


def test_a_switchover_that_was_killed_is_not_begun_again_and_goes_on_where_it_is_proven(mark, sleepless_clock):
    mark.set()
    runner = Scripted(PRIMARY, {"switch": REPLICA})
    with pytest.raises(PatchingError, match="begun before and its end is not known; this host is still the primary"):
        moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark)
    assert not moving.give_back(provider("postgresql", SWITCH, runner, sleepless_clock), mark).changed
    assert runner.changes("switch") == []
    mark.set()
    runner.answers.update(REPLICA)
    assert not moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark).changed
    assert mark.is_whole()


def test_a_server_that_does_not_answer_is_no_primary(mark, sleepless_clock):
    runner = Scripted({"pg_is_in_recovery()": (2, "connection refused")})
    with pytest.raises(PatchingError, match="connection refused"):
        moving.drain(provider("postgresql", SWITCH, runner, sleepless_clock), mark)


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "seen"),
    [
        ("pacemaker", {"pacemaker": "pacs1", "mode": "x"}, "unknown option mode"),
        ("pacemaker", {}, "no option pacemaker"),
        ("keepalived", {"keepalived": "vip", "port": 443, "peers": ["10.0.0.2"]}, "'vip'"),
        ("keepalived", {"keepalived": "10.0.0.1", "port": 0, "peers": ["10.0.0.2"]}, "port is 0"),
        ("keepalived", {"keepalived": "10.0.0.1", "port": 443, "peers": []}, "peers is"),
        ("keepalived", {"keepalived": "10.0.0.1", "port": 443, "peers": ["p"], "file": "x"}, "an absolute path"),
        (
            "interface_engine",
            {"interface_engine": "m", "stop": [], "start": ["x"], "queue": ["x"], "accepts": ["x"]},
            "stop",
        ),
        ("postgresql", {"postgresql": "db2", "switchover": []}, "switchover"),
        ("postgresql", {"postgresql": "db2", "switchover": ["x"], "when_limit": "go_on"}, "unknown option when_limit"),
        ("balancer", {}, "an unknown one"),
    ],
)
def test_what_is_not_understood_is_refused(name, options, seen, sleepless_clock):
    with pytest.raises(PatchingError) as refusal:
        provider(name, options, Runner(), sleepless_clock)
    assert seen in str(refusal.value)
