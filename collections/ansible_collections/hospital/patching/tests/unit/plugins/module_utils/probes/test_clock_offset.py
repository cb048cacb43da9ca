# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``time``, on what real clocks' keepers said."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.clock_offset import parse_timesync
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

#: chronyc 4.3: one that follows a server, one that only has its own clock, and one without any.
FOLLOWS = (
    "7F000001,127.0.0.1,4,1795701797.754487158,-0.000001672,-0.000000097,0.000000149,0.050,-0.006,0.221,"
    "0.000005674,0.000001517,0.3,Normal\n"
)
ALONE = (
    "7F7F0101,,10,1795701754.740366518,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,"
    "0.000000000,0.000000000,0.0,Normal\n"
)
LOST = (
    "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,"
    "1.000000000,1.000000000,0.0,Not synchronised\n"
)
OFF = FOLLOWS.replace("-0.000001672", "-2.500000000")
SHOW = "Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized={}\nTimeUSec=Thu 2026-11-26 14:02:34 UTC\n"
#: systemd 256, Debian.
TIMESYNC = """\
       Server: 60.50.221.91 (0.debian.pool.ntp.org)
Poll interval: 34min 8s (min: 32s; max 34min 8s)
         Leap: normal
      Version: 4
      Stratum: 2
    Reference: AFF20F0
    Precision: 1us (-22)
Root distance: 8.208ms (max: 5s)
       Offset: -1.548ms
        Delay: 16.153ms
       Jitter: 5.161ms
 Packet count: 10
    Frequency: +0.925ppm
"""


class Keepers:
    """Answers as the programs do that are installed; the others are missing."""

    def __init__(self, **answers):
        self.answers = answers

    def run(self, args, **_others):
        text = self.answers.get("timesync" if "timesync-status" in args else args[0])
        if text is None:
            raise PatchingError(args[0], "No such file or directory", "an executable command", "install it")
        return Result(args, 0 if text else 1, text, "")


@pytest.fixture
def read(make_context):
    def run(answers, **options):
        definition = dict(options, name="t", type="time")
        return registry.build(definition, make_context(runner=Keepers(**answers))).read()

    return run


def test_a_clock_that_follows_a_server_is_ok(read):
    result = read({"chronyc": FOLLOWS})
    assert result["verdict"] == "ok"
    assert result["value"] == {"synchronised": True, "offset_ms": 0, "by": "chronyc"}


def test_one_that_is_off_is_failed(read):
    result = read({"chronyc": OFF})
    assert (result["verdict"], result["value"]["offset_ms"]) == ("failed", 2500)
    assert read({"chronyc": OFF}, offset_limit_ms=2500)["verdict"] == "ok"


@pytest.mark.parametrize("text", [ALONE, LOST])
def test_one_that_follows_nothing_is_failed_unless_that_is_declared(read, text):
    result = read({"chronyc": text})
    assert (result["verdict"], result["value"]["offset_ms"]) == ("failed", None)
    assert read({"chronyc": text}, synchronised=False)["verdict"] == "ok"


def test_the_line_of_old_versions_is_read(read):
    # In one field: 127.0.0.1 (reference), as before chrony 3.
    assert read({"chronyc": OFF.replace("7F000001,", "")})["value"]["offset_ms"] == 2500


@pytest.mark.parametrize("chronyc", [None, ""])
def test_without_chrony_systemd_is_asked(read, chronyc):
    result = read({"chronyc": chronyc, "timedatectl": SHOW.format("yes"), "timesync": TIMESYNC})
    assert result["value"] == {"synchronised": True, "offset_ms": 2, "by": "timedatectl"}
    assert read({"chronyc": chronyc, "timedatectl": SHOW.format("no")})["verdict"] == "failed"


def test_an_offset_that_nobody_tells_is_no_failure(read):
    result = read({"timedatectl": SHOW.format("yes")})
    assert (result["verdict"], result["value"]["offset_ms"]) == ("ok", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Offset: +317us", 0), ("Offset: -1.5s", 1500), ("Offset: +1min 2.003s", 62003), ("Offset: n/a", None)],
)
def test_spans_of_systemd_are_read(text, expected):
    assert parse_timesync(text) == expected


@pytest.mark.parametrize("answers", [{}, {"chronyc": "506 Cannot talk to daemon\n"}, {"timedatectl": "NTP=yes\n"}])
def test_without_an_answer_it_is_inconclusive(read, answers):
    assert read(answers)["verdict"] == "inconclusive"


def test_a_bad_definition_is_refused():
    for option in ({"offset_limit_ms": 0}, {"limit_ms": 5}):
        with pytest.raises(PatchingError):
            registry.check(dict(option, name="t", type="time"))
