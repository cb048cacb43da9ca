# SPDX-License-Identifier: GPL-3.0-or-later
"""Vulnerable libraries inside archives, and archives that are made to do harm."""

import io
import os
import struct
import zipfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import archive_scan, jars
from ansible_collections.hospital.patching.plugins.module_utils.software.archive_scan import LIMITS, MIB

LOG4J = "org.apache.logging.log4j"
MARKER = "org/apache/logging/log4j/core/lookup/JndiLookup.class"


@pytest.fixture
def host(tmp_path):
    (tmp_path / "opt").mkdir()
    (tmp_path / "var/tmp").mkdir(parents=True)
    return Host(None, Clock(), str(tmp_path), "")


def archive(entries, compression=zipfile.ZIP_DEFLATED):
    """Return the bytes of a zip of ``{name: bytes}``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return out.getvalue()


def pom(group, artifact, version):
    text = "#Created by Apache Maven\nversion={}\ngroupId={}\nartifactId={}\n".format(version, group, artifact)
    return {"META-INF/maven/{}/{}/pom.properties".format(group, artifact): text.encode()}


def put(host, name, data):
    path = os.path.join(host.root, "opt", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as handle:
        handle.write(data)
    return "/opt/" + name


def scan(host, **others):
    return jars.collect(host, roots=("/opt",), **others)


def test_log4j_two_archives_deep(host):
    library = archive(dict(pom(LOG4J, "log4j-core", "2.14.1"), **{MARKER: b"x"}))
    inner = archive({"BOOT-INF/lib/log4j-core-2.14.1.jar": library}, zipfile.ZIP_STORED)
    path = put(host, "ehr/ehr.ear", archive({"portal.war": inner, "META-INF/application.xml": b"<x/>"}))
    result = scan(host)
    assert result["found"] == [
        {
            "path": path,
            "inside": ["portal.war", "BOOT-INF/lib/log4j-core-2.14.1.jar"],
            "library": "log4j-core",
            "group": "org.apache.logging.log4j",
            "version": "2.14.1",
            "cves": ["CVE-2021-44228", "CVE-2021-44832", "CVE-2021-45046", "CVE-2021-45105"],
        }
    ]
    assert (result["not_read"], result["archives"]) == ([], 3)


def test_a_library_lying_on_the_disk(host):
    put(host, "app/lib/commons-text-1.9.jar", archive({"x": b"x"}))
    put(host, "app/lib/commons-text-1.10.0.jar", archive({"x": b"x"}))
    put(host, "app/lib/log4j-core-2.14.1-sources.jar", archive({"x": b"x"}))
    assert [(row["path"], row["inside"], row["version"]) for row in scan(host)["found"]] == [
        ("/opt/app/lib/commons-text-1.9.jar", [], "1.9")
    ]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("log4j-1.2.17.jar", "1.2.17"),
        ("log4j-1.2-1.2.17.jar", "1.2-1.2.17"),  # Debian's
        ("log4j-1.2.17.redhat-00008.jar", "1.2.17.redhat-00008"),
        ("log4j-1.2-api-2.17.1.jar", None),  # Log4j 2's bridge for users of 1.2
        ("log4j-1.2-api.jar", None),
        ("log4j-over-slf4j-1.7.36.jar", None),
        ("log4j-core-2.0-beta9.jar", "2.0-beta9"),
        ("log4j-core-2.14.1-tests.jar", "2.14.1"),
        ("log4j-core-2.14.1-javadoc.jar", None),
        ("spring-beans-5.2.19.RELEASE.jar", "5.2.19.RELEASE"),
        ("spring-beans-5.2.20.RELEASE.jar", None),
        ("activemq-client-5.15.9-SNAPSHOT.jar", "5.15.9-SNAPSHOT"),
    ],
)
def test_names(host, name, version):
    put(host, name, archive({"x": b"x"}))
    assert [row["version"] for row in scan(host)["found"]] == ([version] if version else [])


@pytest.mark.parametrize(
    ("manifest", "version"),
    [
        # Spring's archives are built by Gradle and hold no pom.properties.
        (b"Manifest-Version: 1.0\r\nImplementation-Title: spring-beans\r\nImplementation-Version: 5.3.9\r\n", "5.3.9"),
        (b"Manifest-Version: 1.0\nBundle-Version: 4.3.30.RELEASE\n", "4.3.30.RELEASE"),
        (b"Manifest-Version: 1.0\n", None),
    ],
)
def test_a_name_without_version_has_it_in_the_manifest(host, manifest, version):
    put(host, "app.war", archive({"lib/spring-beans.jar": archive({"META-INF/MANIFEST.MF": manifest})}))
    (row,) = scan(host)["found"]
    assert (row["inside"], row["library"], row["version"]) == (["lib/spring-beans.jar"], "spring-beans", version)


def test_a_fixed_version_in_the_manifest_is_no_finding(host):
    put(host, "spring-beans.jar", archive({"META-INF/MANIFEST.MF": b"Implementation-Version: 5.3.18\n"}))
    assert scan(host)["found"] == []


def test_a_shaded_copy_is_known_by_its_properties(host):
    put(host, "fat.jar", archive(pom("org.springframework", "spring-beans", "5.3.17")))
    (row,) = scan(host)["found"]
    assert (row["path"], row["inside"], row["library"]) == ("/opt/fat.jar", [], "spring-beans")
    assert row["cves"] == ["CVE-2022-22965"]


def test_an_unpacked_application(host):
    for name, data in pom("org.apache.struts", "struts2-core", "2.5.32").items():
        put(host, "tomcat/webapps/viewer/" + name, data)
    (row,) = scan(host)["found"]
    assert row["cves"] == ["CVE-2023-50164", "CVE-2024-53677"]
    assert row["path"].endswith("/struts2-core/pom.properties")


def test_a_copy_without_name_and_version(host):
    put(host, "renamed.jar", archive({MARKER: b"x"}))
    (row,) = scan(host)["found"]
    assert (row["version"], len(row["cves"])) == (None, 4)


def test_the_properties_are_surer_than_the_name(host):
    fixed = archive(dict(pom(LOG4J, "log4j-core", "2.17.1"), **{MARKER: b"x"}))
    put(host, "app.war", archive({"WEB-INF/lib/log4j-core-2.14.1.jar": fixed}))
    assert scan(host)["found"] == []


def test_another_artifact_of_the_same_name_is_not_it(host):
    put(host, "a.jar", archive(pom("com.example", "log4j", "1.2.17")))
    put(host, "b.jar", archive(pom("log4j", "log4j", "1.2.17")))
    assert [row["path"] for row in scan(host)["found"]] == ["/opt/b.jar"]


def test_every_vulnerable_statement_is_kept(host):
    old, new = pom(LOG4J, "log4j-core", "2.14.1"), pom(LOG4J, "log4j-core", "2.17.1")
    below = {"WEB-INF/classes/" + name: data for name, data in new.items()}
    other = {"BOOT-INF/" + name: data for name, data in pom(LOG4J, "log4j-core", "2.3").items()}
    put(host, "a.jar", archive(dict(old, **below)))
    put(host, "b.jar", archive(dict(new, **{"x/" + name: data for name, data in old.items()})))
    put(host, "log4j-core-2.12.0.jar", archive(dict(old, **other)))
    assert [(row["path"], row["version"]) for row in scan(host)["found"]] == [
        ("/opt/a.jar", "2.14.1"),
        ("/opt/b.jar", "2.14.1"),
        ("/opt/log4j-core-2.12.0.jar", "2.14.1"),
        ("/opt/log4j-core-2.12.0.jar", "2.3"),
    ]


@pytest.mark.parametrize("name", [MARKER, "WEB-INF/classes/" + MARKER])
def test_a_marker_below_another_directory(host, name):
    put(host, "viewer.war", archive({name: b"x", "not" + MARKER: b"x"}))
    (row,) = scan(host)["found"]
    assert (row["library"], row["group"], row["version"]) == ("log4j-core", LOG4J, None)
    put(host, "viewer.war", archive({"not" + MARKER: b"x"}))
    assert scan(host)["found"] == []


def test_properties_without_a_version(host):
    ((name, _data),) = pom(LOG4J, "log4j-core", "").items()
    put(host, "a.jar", archive({name: b"#\n"}))
    put(host, "app/" + name, b"#\n")
    put(host, "log4j-core-2.17.1.jar", archive({name: b"#\n"}))
    assert [(row["path"], row["version"]) for row in scan(host)["found"]] == [
        ("/opt/a.jar", None),
        ("/opt/app/" + name, None),
    ]


def test_properties_that_cannot_be_read_are_told(host, monkeypatch):
    ((name, data),) = pom(LOG4J, "log4j-core", "2.14.1").items()
    put(host, "app/" + name, data)
    monkeypatch.setattr(jars, "head", lambda _root, _path: None)
    assert [row["reason"] for row in scan(host)["not_read"]] == ["not readable"]


def test_too_many_unpacked_findings_are_told(host):
    for number in range(3):
        for name, data in pom(LOG4J, "log4j-core", "2.14.1").items():
            put(host, "app{}/".format(number) + name, data)
    result = scan(host, limits=LIMITS._replace(rows=1))
    assert len(result["found"]) == 1
    assert [row["reason"] for row in result["not_read"]] == ["more than 1 findings"] * 2


def test_what_was_not_looked_at_is_told(host):
    os.makedirs(os.path.join(host.root, "proc/self"))
    with open(os.path.join(host.root, "proc/self/mountinfo"), "w") as handle:
        handle.write("1 0 0:1 / /opt/nfs rw - nfs4 files:/ rw\n2 0 0:1 / /home rw - autofs auto.home rw\n")
    put(host, "nfs/log4j-core-2.14.1.jar", archive({"x": b"x"}))
    put(host, ".m2/cache/node_modules/log4j-core-2.14.1.jar", archive({"x": b"x"}))
    put(host, "data/overlay2/l/a.jar", archive({"x": b"x"}))
    os.makedirs(os.path.join(host.root, "usr/lib64"))
    put(host, "../usr/lib64/app/xstream-1.4.17.jar", archive({"x": b"x"}))
    result = jars.collect(host)
    assert [row["path"] for row in result["found"]] == [
        "/opt/.m2/cache/node_modules/log4j-core-2.14.1.jar",
        "/usr/lib64/app/xstream-1.4.17.jar",
    ]
    told = [row["path"] for row in result["not_read"]]
    assert told == ["/opt/data/overlay2 is a store of containers", "/home is on autofs", "/opt/nfs is on nfs4"]
    result = jars.collect(host, roots=("/opt/absent", "/opt/nfs", "/var/www"))
    told = [row["path"] for row in result["not_read"]]
    assert told == ["/opt/absent is no directory", "/opt/nfs is on nfs4"]


def test_own_rules(host):
    put(host, "dicom-router-4.2.jar", archive({"x": b"x"}))
    row = {"artifact": "dicom-router", "cve": "CVE-2030-1", "affected": [["4.0", "4.3"]]}
    assert [(found["cves"], found["group"]) for found in scan(host, more=[row])["found"]] == [(["CVE-2030-1"], None)]
    row["group"] = "example.hospital"
    assert [found["group"] for found in scan(host, more=[row])["found"]] == ["example.hospital"]


ROW = {"artifact": "a", "cve": "CVE-2030-1", "affected": [["1.0", "2.0"]]}


@pytest.mark.parametrize(
    "row",
    [
        {},
        "text",
        {"artifact": "a", "cve": "CVE-2030-1"},
        *(dict(ROW, affected=bad) for bad in ([], "12", [1], ["20", "30"], [["1.0"]], [[2.1, "3"]], [["1.0", 2]])),
        dict(ROW, cve=""),
        dict(ROW, fixed="2.0"),
    ],
)
def test_own_rules_of_another_shape_are_refused(host, row):
    with pytest.raises(PatchingError, match="vulnerable library"):
        scan(host, more=[row])


def encrypted(data):
    """Set the encryption flag of a one-entry archive, in the local and the central header."""
    data = bytearray(data)
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "BadZipFile"),
        (b"not a zip at all" * 100, "BadZipFile"),
        (archive({"x": b"x"})[:-30], "BadZipFile"),
        (b"PK\x05\x06" + b"\xff" * 18, ""),
    ],
)
def test_a_broken_archive_is_named_and_the_rest_is_read(host, data, reason):
    put(host, "a.jar", data)
    put(host, "log4j-core-2.14.1.jar", archive({"x": b"x"}))
    result = scan(host)
    assert [row["path"] for row in result["not_read"]] == ["/opt/a.jar"]
    assert reason in result["not_read"][0]["reason"]
    assert len(result["found"]) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"rubbish", "BadZipFile"),
        (encrypted(archive({"inner.jar": b"x"})), "BadZipFile"),
    ],
)
def test_a_broken_member_is_named_and_the_rest_is_read(host, data, reason):
    put(host, "a.ear", archive({"bad.jar": data, "z.war": archive({"lib/xstream-1.4.17.jar": archive({"x": b"x"})})}))
    result = scan(host)
    assert [row["library"] for row in result["found"]] == ["xstream"]
    assert result["not_read"]
    assert result["not_read"][0]["inside"][0] == "bad.jar"


def test_an_encrypted_member(host):
    put(host, "a.jar", encrypted(archive({"inner.jar": b"x"})))
    (row,) = scan(host)["not_read"]
    assert (row["inside"], "encrypted" in row["reason"]) == (["inner.jar"], True)


def test_a_member_of_an_unknown_method(host):
    put(host, "a.jar", archive({"inner.jar": archive({"x": b"x"})}, zipfile.ZIP_LZMA))
    (row,) = scan(host)["not_read"]
    assert "method 14" in row["reason"]


def test_a_bomb_by_ratio(host):
    put(host, "bomb.jar", archive({"inner.jar": b"\0" * (8 * MIB), "log4j-core-2.14.1.jar": archive({"x": b"x"})}))
    result = scan(host)
    assert [(row["inside"], row["reason"]) for row in result["not_read"]] == [
        (["inner.jar"], "ValueError: unpacks to more than 200 times its size")
    ]
    assert len(result["found"]) == 1


def test_a_bomb_by_depth(host):
    data = archive({"log4j-core-2.14.1.jar": archive({"x": b"x"})})
    for _level in range(8):
        data = archive({"n.jar": data}, zipfile.ZIP_STORED)
    put(host, "deep.jar", data)
    result = scan(host)
    assert [row["reason"] for row in result["not_read"]] == ["nested deeper than 4"]
    assert result["archives"] == 5


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (LIMITS._replace(entries=3), "more entries"),
        (LIMITS._replace(total_bytes=1000), "more bytes"),
        (LIMITS._replace(member_bytes=1000), "larger than 1000"),
        (LIMITS._replace(index_bytes=100), "index is larger"),
        (LIMITS._replace(rows=1), "more than 1 findings"),
    ],
)
def test_every_limit_is_told(host, limits, reason):
    inner = archive({"x{}".format(number): os.urandom(1000) for number in range(3)})
    names = ("inner.jar", "log4j-core-2.14.1.jar", "xstream-1.4.17.jar")
    put(host, "a.jar", archive(dict.fromkeys(names, inner)))
    assert reason in scan(host, limits=limits)["not_read"][0]["reason"]


def test_many_broken_members_are_counted(host):
    put(host, "a.jar", archive({"{:02}.jar".format(number): b"rubbish" for number in range(30)}))
    reasons = [row["reason"] for row in scan(host)["not_read"]]
    assert len(reasons) == 21
    assert reasons[-1] == "10 more inside were not read"


def test_the_time_is_limited(host, sleepless_clock):
    class Slow:
        def monotonic(self):
            sleepless_clock.sleep(1)
            return sleepless_clock.monotonic()

    for number in range(20):
        put(host, "a{:02}.jar".format(number), archive({"x": b"x"}))
    result = jars.collect(host._replace(clock=Slow()), roots=("/opt",), limit_s=10)
    assert result["archives"] > 0
    assert "time is over" in result["not_read"][-1]["reason"]


@pytest.mark.parametrize("suffix", [".jar", ".txt"])
def test_the_time_is_asked_for_each_member(host, sleepless_clock, suffix):
    class Slow:
        asked = 0

        def monotonic(self):
            self.asked += 1
            sleepless_clock.sleep(0.01)
            return sleepless_clock.monotonic()

    put(host, "a.war", archive(dict.fromkeys(["{}{}".format(number, suffix) for number in range(3000)], b"")))
    clock = Slow()
    result = jars.collect(host._replace(clock=clock), roots=("/opt",), limit_s=10)
    assert result["not_read"][-1]["path"] == "/opt/a.war"
    assert result["not_read"][-1]["reason"] == "the scan's time is over"
    assert clock.asked < 1100


def test_a_name_longer_than_any_library_is_not_matched(host, monkeypatch):
    matched = []

    class Counting:
        def match(self, name):
            matched.append(name)

    monkeypatch.setattr(archive_scan, "_NAMED", Counting())
    long = "log4j-1" + "-1" * 61 + ".jar"
    put(host, "a.war", archive({long: b"", "other-1.jar": b"", "log4j-1.2.jar": b""}))
    scan(host)
    assert set(matched) == {"log4j-1.2.jar"}


def test_an_index_that_promises_more_than_there_is(host):
    data = bytearray(archive({"x": b"x"}))
    end = data.index(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", 0x7FFFFFFF)
    put(host, "liar.jar", bytes(data))
    assert len(scan(host)["not_read"]) == 1


@pytest.mark.parametrize("name", ["log4j-1" + ".1" * 30000, "a" + "-1" * 30000, "x-1" + "-" * 60000, "-" * 60000])
def test_a_name_made_to_be_slow(host, name):
    put(host, "a.war", archive(dict.fromkeys(["{}{}!.jar".format(number, name) for number in range(20)], b"")))
    assert scan(host, limit_s=5)["not_read"][-1]["reason"] != "the scan's time is over"


def test_what_is_no_plain_file_is_passed_over(host):
    os.mkfifo(os.path.join(host.root, "opt/pipe.jar"))
    os.symlink("/etc/passwd", os.path.join(host.root, "opt/link.jar"))
    assert scan(host) == {"found": [], "not_read": [], "archives": 0}


def test_large_members_go_to_the_disk_and_none_stays(host):
    library = archive({"data": os.urandom(5 * MIB), **pom(LOG4J, "log4j-core", "2.0-beta9")}, zipfile.ZIP_STORED)
    put(host, "big.war", archive({"lib/renamed.jar": library}, zipfile.ZIP_STORED))
    (row,) = scan(host)["found"]
    assert (row["version"], row["inside"]) == ("2.0-beta9", ["lib/renamed.jar"])
    assert os.listdir(os.path.join(host.root, "var/tmp")) == []
