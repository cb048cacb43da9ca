# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands say, without the secrets in it."""

import pytest

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
