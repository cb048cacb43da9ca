# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files to merge: keys and lines, never a value."""

import errno
import json
import os
import random
import string
import threading

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import conffile_merge

INI = b"""# portal
[server]
port = 8080
tls = yes

[database]
host = db1
password = geheim
options = a
    password = in-a-continuation
"""
INI_NEW = b"""[server]
# another comment
port = 8443
tls = yes
timeout = 30
[database]
host = db1
options = a
    password = another-continuation
"""
PROPERTIES = b"spring.datasource.url=jdbc:postgresql://db1/ehr\nspring.datasource.password=geheim\nlogging: info\n"
YAML = b"""---
server:
  port: 8080  # for users
  hosts:
    - name: a
      weight: 1
certificate: |
  password: in-a-block
  geheim
logging: {level: info}
"""
NGINX = b"""user www-data;
http {
    server_tokens off; # quiet
    server {
        listen 443 ssl;
        set $token "a;b{geheim}";
        location /secret-place { proxy_pass http://app1; }
    }
}
"""
SSHD = b"Port 22\nPermitRootLogin no\nMatch User backup\n  ForceCommand /bin/geheim\n"


def changes(kept, proposed):
    found = conffile_merge.compare(kept, proposed)
    return found["format"], [(one["key"], one["change"], one["line"], one["proposed_line"]) for one in found["changes"]]


def test_sections():
    assert changes(INI, INI_NEW) == (
        "sections",
        [
            ("server.port", "changed", 3, 3),
            ("database.password", "removed", 8, None),
            ("database.options", "changed", 9, 8),
            ("server.timeout", "added", None, 5),
        ],
    )


def test_properties():
    proposed = PROPERTIES.replace(b"geheim", b"changeit").replace(b"info", b"warn")
    assert changes(PROPERTIES, proposed) == (
        "sections",
        [("spring.datasource.password", "changed", 2, 2), ("logging", "changed", 3, 3)],
    )


def test_nested():
    proposed = YAML.replace(b"8080", b"80").replace(b"geheim", b"changeit").replace(b"weight: 1", b"weight: 2")
    assert changes(YAML, proposed) == (
        "nested",
        [
            ("server.port", "changed", 3, 3),
            ("server.hosts.weight", "changed", 6, 6),
            ("certificate", "changed", 7, 7),
        ],
    )


def test_statements():
    proposed = (
        NGINX.replace(b"geheim", b"x").replace(b"off", b"on").replace(b"    server {", b"    gzip on;\n    server {")
    )
    assert changes(NGINX, proposed) == (
        "statements",
        [
            ("http.server_tokens", "changed", 3, 3),
            ("http.server.set", "changed", 6, 7),
            ("http.gzip", "added", None, 4),
        ],
    )


def test_keywords():
    assert changes(SSHD, SSHD.replace(b"geheim", b"true").replace(b"Port 22\n", b"")) == (
        "keywords",
        [("Port", "removed", 1, None), ("ForceCommand", "changed", 4, 3)],
    )


def test_of_an_unknown_format_only_lines_are_told():
    kept = b"alpha beta gamma\nhunter2 and more\nlast line here\n"
    assert changes(kept, b"alpha beta gamma\nanother two words\nlast line here\nnew one\n") == (
        "lines",
        [(None, "changed", 2, 2), (None, "added", None, 4)],
    )


@pytest.mark.parametrize(
    ("kept", "proposed", "note"),
    [
        (b"a = 1\n", b"a = 1\n", "both are equal"),
        (b"a = 1\n", b"# why\na = 1\n", "only comments"),
        (b"a = 1\n", b"\0\1", "binary"),
        (b"a = \xff\xfe\n", b"a = 1\n", "not text"),
        (b"a = 1\n", b"a = 1\n" * 50000, "too large"),
    ],
)
def test_what_cannot_be_compared_is_said(kept, proposed, note):
    found = conffile_merge.compare(kept, proposed)
    assert note in found["note"]
    assert found["changes"] == []


def test_a_long_list_is_counted():
    found = conffile_merge.compare(b"a = 1\n", b"".join(b"k%d = 1\n" % number for number in range(200)))
    assert (len(found["changes"]), found["more"]) == (50, 151)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (("listen",), "listen"),
        (("mysqld", "bind-address"), "mysqld.bind-address"),
        (("https://bob:geheim@db1", "url"), "?.url"),
        (("AKIAIOSFODNN7EXAMPLE",), None),
        (("q3Vd5A/x",), None),
        (("x" * 41,), None),
    ],
)
def test_only_what_looks_like_a_name_is_shown(name, shown):
    assert conffile_merge.shown(name) == shown


def test_of_a_key_in_pem_nothing_is_shown():
    kept = b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nq3Vd5Aabcdefg==\n-----END PRIVATE KEY-----\n"
    found = conffile_merge.compare(kept, kept.replace(b"MII", b"MIJ").replace(b"q3V", b"q4V"))
    assert [one["key"] for one in found["changes"]] == [None] * len(found["changes"])


@pytest.mark.parametrize(
    "template", ["{key} = {value}\n", "{key}: {value}\n", "{key} {value};\n", "Key{key} {value}\n"]
)
def test_no_value_is_ever_in_the_report(template):
    """Whatever stands in a value, also what looks like another key or ends a statement."""
    rolled = random.Random(7)
    alphabet = string.ascii_letters + string.digits + " =:;{}[]#\"'\\/@$-_.\t"
    for _round in range(150):
        keys = ["k" + letter for letter in "abcdef"]
        secrets = [
            "S{}Z".format(number) + "".join(rolled.choice(alphabet) for _letter in range(rolled.randint(0, 30)))
            for number in range(12)
        ]
        old = "".join(template.format(key=key, value=value) for key, value in zip(keys, secrets))
        new = "".join(template.format(key=key, value=value) for key, value in zip(keys[1:] + ["kz"], secrets[6:]))
        report = json.dumps(conffile_merge.compare(old.encode(), new.encode()))
        assert not any("S{}Z".format(number) in report for number in range(12)), (old, new, report)


def test_files_are_told_by_their_names_and_rpmsave_is_the_sites_own(tmp_path):
    (tmp_path / "a.conf").write_text("a = new\nb = 1\n")
    (tmp_path / "a.conf.rpmsave").write_text("a = own\n")
    (tmp_path / "b.conf.dpkg-dist").write_text("a = 1\n")
    paths = [str(tmp_path / "a.conf.rpmsave"), str(tmp_path / "b.conf.dpkg-dist")]
    saved, alone = conffile_merge.of_proposals(paths)
    assert (saved["file"], saved["proposal"]) == (str(tmp_path / "a.conf"), paths[0])
    assert [(one["key"], one["change"]) for one in saved["changes"]] == [("a", "changed"), ("b", "added")]
    assert "No such file" in alone["note"]
    many = conffile_merge.of_proposals(paths * 20)
    assert len(many) == 40
    assert "more than 20 files" in many[-1]["note"]


@pytest.mark.parametrize("which", ["a.conf", "a.conf.rpmnew"])
def test_a_pipe_is_not_waited_for(tmp_path, which):
    for name in ("a.conf", "a.conf.rpmnew"):
        if name == which:
            os.mkfifo(str(tmp_path / name))
            continue
        (tmp_path / name).write_text("a = 1\n")
    found = []
    reader = threading.Thread(
        target=lambda: found.extend(conffile_merge.of_proposals([str(tmp_path / "a.conf.rpmnew")])), daemon=True
    )
    reader.start()
    reader.join(10)
    assert [one["note"] for one in found] == ["{}: not a regular file".format(tmp_path / which)]


def test_a_proposal_that_is_a_link_is_not_followed_and_the_hosts_own_link_is(tmp_path):
    (tmp_path / "other").write_text("a = 1\nb = 2\n")
    (tmp_path / "a.conf").write_text("a = 1\n")
    (tmp_path / "a.conf.rpmnew").symlink_to(tmp_path / "other")
    (tmp_path / "b.conf").symlink_to(tmp_path / "a.conf")
    (tmp_path / "b.conf.rpmnew").write_text("a = 2\n")
    paths = [str(tmp_path / name) for name in ("a.conf.rpmnew", "b.conf.rpmnew")]
    link, plain = conffile_merge.of_proposals(paths)
    assert (link["changes"], link["note"]) == ([], paths[0] + ": " + os.strerror(errno.ELOOP))
    assert [one["key"] for one in plain["changes"]] == ["a"]
