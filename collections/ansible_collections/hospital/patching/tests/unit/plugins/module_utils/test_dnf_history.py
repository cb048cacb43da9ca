# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf's history, as dnf 4.14 wrote it: installations, upgrades, a downgrade, a reinstallation, a removal, marks.

The last package came back by ``rpm -i`` after dnf had removed it.
"""

import os
import shutil
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import dnf_history, rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

sqlite3 = pytest.importorskip("sqlite3")
RECORDED = os.path.join(os.path.dirname(__file__), "recorded")


def recorded(name):
    with open(os.path.join(RECORDED, name), "rb") as handle:
        return handle.read().decode("utf-8", "replace")


@pytest.fixture
def root(tmp_path):
    path = tmp_path / dnf_history.PATH
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(str(path))
    connection.executescript(recorded("dnf_history.sql"))
    connection.close()
    return tmp_path


def test_origins_and_reasons_are_those_that_dnf_shows(root):
    history = dnf_history.read(str(root))
    shown = [line.split("|") for line in recorded("dnf_repoquery.txt").splitlines()]
    assert len(shown) == 7
    packages = {
        (package.name, rpm_database.evr(package)): package
        for package in rpm_database.parse(recorded("rpm_qa_query_format.bin"))[0]
    }
    for name, evr, arch, repository, reason in shown:
        package = packages[(name, evr)]
        key = (name, package.epoch, package.version, package.release, arch)
        assert history.origins.get(key) == (None if repository in ("", "@System") else repository)
        assert history.automatic.get((name, arch), False) is (reason in ("dependency", "weak-dependency"))


def test_nothing_is_written(root):
    before = sorted(os.listdir(str(root / "var/lib/dnf")))
    content = (root / dnf_history.PATH).read_bytes()
    dnf_history.read(str(root))
    assert sorted(os.listdir(str(root / "var/lib/dnf"))) == before
    assert (root / dnf_history.PATH).read_bytes() == content


def test_transactions_that_are_still_in_the_log_count(root, tmp_path):
    path = str(root / dnf_history.PATH)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("UPDATE repo SET repoid = 'renamed'")
    writer.commit()
    killed = tmp_path / "killed"
    shutil.copytree(str(root / "var"), str(killed / "var"))  # as a killed dnf leaves it
    writer.close()
    assert os.path.getsize(str(killed / dnf_history.PATH) + "-wal") > 0
    assert set(dnf_history.read(str(killed)).origins.values()) == {"renamed"}


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"SQLite format 3\x00" + b"\xff" * 9000])
def test_a_damaged_history_is_an_error(root, content):
    (root / dnf_history.PATH).write_bytes(content)
    with pytest.raises(PatchingError, match=r"history\.sqlite"):
        dnf_history.read(str(root))


def test_a_python_without_sqlite_is_an_error(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.raises(PatchingError, match="no sqlite3"):
        dnf_history.read(str(root))


def test_an_address_holds_any_path(tmp_path):
    assert dnf_history.address("/a?b#c%d") == "file:/a%3fb%23c%25d?mode=ro&immutable=1"
    odd = tmp_path / "a?b#c%20"
    odd.mkdir()
    writer = sqlite3.connect(str(odd / "x"))
    writer.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    writer.close()
    reader = sqlite3.connect(dnf_history.address(str(odd / "x")), uri=True)
    rows = reader.execute("SELECT a FROM t").fetchall()
    reader.close()
    assert rows == [(1,)]


def test_a_broken_encoding_is_replaced(root):
    connection = sqlite3.connect(str(root / dnf_history.PATH))
    connection.execute("UPDATE repo SET repoid = CAST(x'ff61' AS TEXT)")
    connection.commit()
    connection.close()
    assert set(dnf_history.read(str(root)).origins.values()) == {"\ufffda"}
