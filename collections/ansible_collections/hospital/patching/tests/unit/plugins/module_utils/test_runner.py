# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands say, without the secrets in it."""

import time

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import runner
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner, without_logins


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@mirror/x", "https://***@mirror/x"),
        ("https://user:p@ss@mirror/x", "https://***@mirror/x"),
        ("https://user:pa/ss@mirror", "https://***@mirror"),
        ("https://user:p@s/s//x@mirror:8443/x y", "https://***@mirror:8443/x y"),
        ("https://me@corp:pa/ss@mirror/x", "https://***@mirror/x"),
        ("https://token@mirror/x and ftp://a:b@c", "https://***@mirror/x and ftp://***@c"),
        ("https://a:80/x,https://u:p@b", "https://a:80/x,https://***@b"),
        # A path may hold what ends a login.
        ("https://copr.example/results/@group/x", "https://copr.example/results/@group/x"),
        ("https://mirror:8080/x is down, ask it@hospital", "https://mirror:8080/x is down, ask it@hospital"),
        ("https://manager:443/rhn/channel?TOKEN", "https://manager:443/rhn/channel?***"),
        ("'https://m/x?key=a/b@c&z=&flag' (22)", "'https://m/x?key=***&z=***&***' (22)"),
        ("plugin:/x?login=me; cdrom:[a]/", "plugin:/x?login=*** cdrom:[a]/"),
        ("why? a=b", "why? a=b"),
    ],
)
def test_no_secret_of_a_url_is_shown(text, shown):
    assert without_logins(text) == shown


def test_a_login_may_leave_no_trace():
    assert without_logins("https://u:p@m/x?t=1", "") == "https://m/x?t=***"


def test_what_a_command_prints_is_masked_before_it_is_cut():
    text = "https://user:se@cret@mirror/".ljust(608, "x")  # the last 600 characters begin after "https://"
    with pytest.raises(PatchingError, match="exit 3: ") as caught:
        Runner().run(["sh", "-c", "cat >&2; exit 3"], text_in=text)
    assert "cret" not in str(caught.value)


@pytest.fixture
def out_of_time(tmp_path, monkeypatch):
    """Run a script beyond its time limit; return the file that it may write, and how long it was waited for."""
    monkeypatch.setattr(runner, "GRACE_S", 0.5)

    def run(script):
        said = tmp_path / "said"
        said.write_text("")
        began = time.monotonic()
        with pytest.raises(PatchingError, match=r"no end after 0\.5 s"):
            Runner().run(["sh", "-c", script, "sh", str(said)], timeout_s=0.5)
        return said, time.monotonic() - began

    return run


def test_a_command_beyond_its_limit_may_clean_up(out_of_time):
    said, took = out_of_time("trap 'echo cleaned > \"$1\"; exit 1' TERM; sleep 30 & wait")
    assert said.read_text() == "cleaned\n"
    assert took < 10


@pytest.mark.parametrize(
    "script",
    [
        "trap '' TERM; (sleep 2; echo alive > \"$1\") & sleep 30",
        # Only the child is left once it was asked.
        "trap 'exit 1' TERM; (trap '' TERM; sleep 2; echo alive > \"$1\") & wait",
        "trap 'exit 1' TERM; (trap '' TERM; sleep 2; echo alive > \"$1\") > /dev/null 2>&1 & wait",
    ],
)
def test_what_does_not_end_is_killed_with_its_children(out_of_time, script):
    said, took = out_of_time(script)
    assert took < 1.9
    time.sleep(2.2 - took)
    assert said.read_text() == ""


def test_a_stream_is_read_while_the_command_runs_and_ends_with_its_context():
    began = time.monotonic()
    with Runner().stream(["sh", "-c", "echo one; exec sleep 30"]) as output:
        assert output.readline() == b"one\n"
    assert time.monotonic() - began < 10
    with Runner().stream(["printf", "two"]) as output:
        assert output.read() == b"two"


@pytest.mark.parametrize(
    ("args", "seen"),
    [
        (["sh", "-c", "echo x; exit 3"], "exit 3"),
        (["sh", "-c", "exec sleep 30"], "exit -9"),
        (["/missing"], "No such file"),
    ],
)
def test_a_stream_that_fails_is_an_error(args, seen):
    with pytest.raises(PatchingError, match=seen), Runner().stream(args, timeout_s=1) as output:
        output.read()
