# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.third_party import entries

SHA = "a" * 64
JAVA = {
    "name": "java",
    "type": "archive",
    "version": "17.0.17",
    "source": "https://mirror/java.tar.gz",
    "sha256": SHA,
    "root": "/opt/java",
    "link": "/opt/java/current",
}
VIEWER = {
    "name": "viewer",
    "type": "installer",
    "version": "2",
    "source": "/srv/v",
    "sha256": SHA,
    "detect": {"file": "/opt/v"},
}

BAD = [
    (dict(JAVA, name="../java"), "name"),
    (dict(JAVA, type="msi"), "archive, deb, flatpak, installer, pip, rpm, snap"),
    (dict(JAVA, version="../17"), "version '../17'"),
    (dict(JAVA, version="-v"), "version '-v'"),
    (dict(JAVA, vresion="17"), "unknown option vresion"),
    (dict(JAVA, sha256="abc"), "64 hex digits"),
    ({key: value for key, value in JAVA.items() if key != "sha256"}, "64 hex digits"),
    (dict(JAVA, source="ftp://mirror/java"), "http or https"),
    (dict(JAVA, source="java.tar.gz"), "absolute path"),
    (dict(JAVA, source="https://mirror/java?token=geheim"), "a query in its source; expected the query in"),
    (dict(JAVA, source="https://mirror/java#geheim"), "a query in its source"),
    (
        dict(JAVA, signature={"source": "https://mirror/s?t=geheim", "keyring": "/k"}),
        "a query in its signature's source",
    ),
    (dict(VIEWER, previous={"version": "1", "source": "http://m/v?geheim", "sha256": SHA}), "a query in its source"),
    (dict(JAVA, source="http://[mirror/java?token=geheim"), "no URL"),
    (dict(JAVA, source="https://mirror:port/java"), "no URL"),
    (dict(VIEWER, install=["{file}", "--licence=https://l/?key=geheim"]), "a login or query in its install"),
    (dict(JAVA, probe={"command": ["bin/java", "http://ada:geheim@pacs/"]}), "a login or query in its probe.command"),
    (dict(JAVA, size_bytes=-1), "size_bytes -1"),
    (dict(JAVA, download_timeout_s=0), "download_timeout_s 0"),
    (dict(JAVA, absent=True), "absent and version"),
    (dict(JAVA, root="/opt"), "this software alone"),
    (dict(JAVA, root="opt/java"), "this software alone"),
    (dict(JAVA, link="/opt/java/17.0.17"), "another name for the link"),
    (dict(JAVA, exposure="high"), "one of browser"),
    (dict(JAVA, detect={"file": "release", "command": ["x"]}), "either command or file"),
    (dict(JAVA, detect={"file": "release", "pattern": "x"}), "without a group"),
    (dict(JAVA, probe={"command": ["java"], "pattern": "("}), "probe.pattern"),
    (dict(JAVA, probe={"type": "http", "url": "http://10.9.0.1/"}), "this host itself"),
    (dict(JAVA, signature={"source": "https://mirror/s"}), "keyring"),
    (dict(JAVA, signature={"source": "https://mirror/s", "allowed_signers": "/etc/s"}), "signer"),
    (dict(VIEWER, detect=None), "no detect"),
    (dict(VIEWER, install=["sh", "setup"]), "install without {file}"),
    (dict(VIEWER, uninstall_first=True), "no uninstall"),
    (dict(VIEWER, previous={"version": "1", "source": "x", "sha256": SHA}), "absolute path"),
    ({"name": "viewer", "type": "flatpak", "application": "org.v", "version": "1.0"}, "hex digits of a commit"),
    ({"name": "viewer", "type": "snap", "version": "1.0"}, "number of a revision"),
    ({"name": "viewer", "type": "snap", "version": "7", "source": "/srv/v"}, "fetches by itself"),
    (dict(JAVA, type=["deb"]), "type ['deb']"),
    (dict(JAVA, source="http://[x/java"), "source 'http://[x/java'"),
    (dict(JAVA, detect={"command": []}), "an empty detect.command"),
    ("java", "a mapping with a name"),
]


@pytest.mark.parametrize(("entry", "said"), BAD)
def test_a_bad_entry_is_refused_by_name(entry, said):
    with pytest.raises(PatchingError) as refused:
        entries.read([entry])
    assert said in str(refused.value)
    assert "geheim" not in str(refused.value)
    assert "inventory" in refused.value.next_step


def test_a_login_in_a_source_is_refused_and_not_repeated():
    with pytest.raises(PatchingError) as refused:
        entries.read([dict(JAVA, source="https://ada:geheim@mirror/java.tar.gz")])
    assert "geheim" not in str(refused.value)
    assert "patching_third_party_logins" in refused.value.expected


def test_a_name_may_be_given_once():
    with pytest.raises(PatchingError, match="given twice"):
        entries.read([JAVA, JAVA])


def test_what_is_attacked_most_comes_first_and_the_declared_order_stays_otherwise():
    given = [
        dict(JAVA, name=name, exposure=exposure)
        for name, exposure in (("a", "business"), ("b", "java"), ("c", "browser"), ("d", "java"), ("e", "other"))
    ]
    assert [spec["name"] for spec in entries.read(given)] == ["c", "b", "d", "a", "e"]


def test_what_is_read_again_stays_as_it_is():
    first = entries.read([JAVA, VIEWER])
    assert entries.read(first) == first
