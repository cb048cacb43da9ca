# SPDX-License-Identifier: GPL-3.0-or-later
"""A carried folder, from the request to the stage, with the real apt, gpgv and dpkg-deb and a signed repository."""

import base64
import email.utils
import hashlib
import http.server
import json
import os
import shutil
import socketserver
import subprocess
import tarfile
import threading
import urllib.parse

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    apt_carry,
    apt_download,
    apt_metadata,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_stage import AptStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING, StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.carried_files import CarriedFiles
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

TOOLS = ("apt-get", "dpkg-deb", "gpg", "gpgconf", "gpgv")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs apt and gpg")

STATUS = """Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: viewer
Status: install ok installed
Architecture: all
Version: 1.0

"""


def run(*args, **options):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options).stdout


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Repository:
    """A signed repository that a web server on the loopback serves."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder.parent / "gpg"
        self.home.mkdir(mode=0o700)
        self._gpg("--quick-gen-key", "archive@example.org", "ed25519", "sign", "never")
        self.key = folder.parent / "archive.gpg"
        self.key.write_bytes(self._gpg("--export"))
        (folder / "pool").mkdir(parents=True)
        for version in ("1.0", "2.0"):
            self._package(folder, version)
        self.publish()

    def _gpg(self, *args):
        return run("gpg", "--homedir", str(self.home), "--batch", "--pinentry-mode=loopback", "--passphrase=", *args)

    @staticmethod
    def _package(folder, version):
        tree = folder.parent / ("viewer-" + version)
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            "Package: viewer\nVersion: {}\nArchitecture: all\nMaintainer: x <x@example.org>\n"
            "Description: an image viewer\n".format(version)
        )
        run("dpkg-deb", "--build", str(tree), str(folder / "pool/viewer_{}_all.deb".format(version)))

    def publish(self):
        index, dists = b"", self.folder / "dists/stable"
        for path in sorted((self.folder / "pool").iterdir()):
            about = "Filename: pool/{}\nSize: {}\nSHA256: {}\n\n".format(path.name, path.stat().st_size, sha256(path))
            index += run("dpkg-deb", "-f", str(path)) + about.encode()
        packages = dists / "main/binary-amd64/Packages"
        packages.parent.mkdir(parents=True, exist_ok=True)
        packages.write_bytes(index)
        release = dists / "Release"
        # What it is valid until has passed long ago for a folder that was carried by hand.
        release.write_text(
            "Origin: Vendor\nLabel: Vendor\nSuite: stable\nCodename: stable\nDate: {}\nValid-Until: {}\n"
            "Architectures: amd64\nComponents: main\nSHA256:\n {} {} main/binary-amd64/Packages\n".format(
                email.utils.formatdate(0, usegmt=True),
                email.utils.formatdate(86400, usegmt=True),
                sha256(packages),
                packages.stat().st_size,
            )
        )
        self._gpg("--yes", "--clearsign", "--output", str(dists / "InRelease"), str(release))


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves one folder on the loopback, to several at once."""

    daemon_threads = True

    def __init__(self, folder, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.folder, self.served = str(folder), []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing of what it serves."""

    def translate_path(self, path):
        return os.path.join(self.server.folder, urllib.parse.urlsplit(path).path.lstrip("/"))

    def log_message(self, *_args):
        pass


class SiteRunner(Runner):
    """Runs the real commands with one host's apt configuration."""

    def __init__(self, config):
        self.config = str(config)

    def run(self, args, env=None, **others):
        return super().run(args, env=dict(env or {}, APT_CONFIG=self.config), **others)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("archive") / "repository")
    run("gpgconf", "--homedir", str(made.home), "--kill", "gpg-agent")  # all is signed
    return made


@pytest.fixture(scope="module")
def server(repository):
    with Server(repository.folder, Quiet) as serving:
        yield serving
        serving.shutdown()


@pytest.fixture(scope="module")
def make_host(server, repository, tmp_path_factory):
    """Return a function that makes a host; all have one address among their sources, which not all reach."""
    address = "http://user:secret@127.0.0.1:{}/".format(server.server_port)

    def make(name, connected=False, release="bookworm", more="", proxy="DIRECT"):
        root = tmp_path_factory.mktemp(name)
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/apt/lists", "var/tmp", "etc/apt", "boot"):
            (root / folder).mkdir(parents=True)
        (root / "etc/os-release").write_text("ID=debian\nVERSION_CODENAME={}\n".format(release))
        (root / "var/lib/dpkg/status").write_text(STATUS)
        (root / "key.gpg").write_bytes(repository.key.read_bytes())
        (root / "etc/apt/sources.list").write_text(
            "deb [arch=amd64 signed-by={}] {} stable main\n{}".format(root / "key.gpg", address, more)
        )
        settings = {
            "Dir::Etc::sourcelist": root / "etc/apt/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::status": root / "var/lib/dpkg/status",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "root",
            "Acquire::Retries": "0",
            "Acquire::http::Proxy": proxy if connected else "http://127.0.0.1:9",
            "Acquire::Check-Valid-Until": "false" if connected else "true",
        }
        (root / "apt.conf").write_text("".join('{} "{}";\n'.format(*setting) for setting in settings.items()))
        return Host(SiteRunner(root / "apt.conf"), Clock(), str(root), str(root / "state"))

    return make


class Journey:
    """An offline host, and what a connected one has fetched for it."""

    def __init__(self, make_host, archive):
        self.offline, self.connected = make_host("offline"), make_host("connected", connected=True)
        self.archive = archive
        self.request = apt_carry.request(self.offline)
        self.filled = apt_carry.AptCarry(self.connected).fetch({"offline": self.request}, set(), self.archive)

    def bring(self, archive=None, releases=None, host=None):
        index = {"digest": "sha256:1", "made": "2026-11-20", "releases": releases or self.filled["releases"]}
        keep = [one["sha256"] for one in self.filled["lists"] + self.filled["files"]]
        CarriedFiles(host or self.offline).take(archive or self.archive, index, keep + list(index["releases"].values()))

    def pending(self, host=None):
        return pending(host or self.offline, EVERYTHING._replace(carried="sha256:1"))


@pytest.fixture(scope="module")
def travelled(make_host, tmp_path_factory):
    return Journey(make_host, str(tmp_path_factory.mktemp("carried") / "files.tar"))


@pytest.fixture
def journey(travelled):
    """Return the journey before anything was brought to the offline host."""
    CarriedFiles(travelled.offline).clear()
    return travelled


def test_what_was_asked_for_is_resolved_elsewhere_and_staged_without_a_network(journey, tmp_path):
    assert journey.request["platform"] == "debian bookworm amd64"
    assert journey.filled["resolved"] == {"offline": 1}
    assert [(one["name"], one["version"]) for one in journey.filled["files"]] == [("viewer", "1.0"), ("viewer", "2.0")]
    assert "secret" not in json.dumps([journey.request, journey.filled])

    with pytest.raises(PatchingError, match="expected the carried folder sha256:1"):
        journey.pending()
    journey.bring()
    found = journey.pending()
    assert [(one["name"], one["from"], one["to"]) for one in found["updates"]] == [("viewer", "1.0", "2.0")]
    assert [one["signed"] for one in found["repositories"]] == [True]
    staged = AptStage(
        journey.offline, StageRequest("r1", "offline", found["updates"], None, False, carried="sha256:1")
    ).run()
    assert (staged["changed"], staged["not_preserved"]) == (True, [])
    assert os.path.isfile(os.path.join(staged["stage_dir"], "debs/viewer_2.0_all.deb"))
    assert os.path.isfile(os.path.join(staged["preserved_dir"], "debs/viewer_1.0_all.deb"))
    assert os.listdir(os.path.join(journey.offline.root, "var/tmp")) == []

    have = {one["sha256"] for one in journey.filled["files"]}
    again = apt_carry.AptCarry(journey.connected).fetch({"offline": journey.request}, have, str(tmp_path / "again.tar"))
    assert again == journey.filled
    with tarfile.open(str(tmp_path / "again.tar")) as bundle:
        assert not have & set(bundle.getnames()), "what the folder has already is fetched again"


def test_a_release_that_the_archive_did_not_sign_is_refused(journey, repository, tmp_path):
    """Whoever exchanges the folder can make its sums right, and no signature."""
    (address,) = [address for address in journey.filled["releases"] if address.endswith("InRelease")]
    forged = (repository.folder / "dists/stable/InRelease").read_text().replace("Origin: Vendor", "Origin: vendor")
    name = hashlib.sha256(forged.encode()).hexdigest()
    (tmp_path / name).write_text(forged)
    with tarfile.open(str(tmp_path / "forged.tar"), "w") as bundle:
        with tarfile.open(journey.archive) as good:
            for member in good:
                bundle.addfile(member, good.extractfile(member))
        bundle.add(str(tmp_path / name), name)
    journey.bring(str(tmp_path / "forged.tar"), {address: name})
    with pytest.raises(PatchingError, match=r"127\.0\.0\.1.*is not signed") as refused:
        journey.pending()
    assert "secret" not in str(refused.value)


def test_a_file_that_was_changed_on_the_way_is_refused_by_name(journey, tmp_path):
    name = journey.filled["files"][0]["sha256"]
    (tmp_path / name).write_text("something else")
    with tarfile.open(str(tmp_path / "changed.tar"), "w") as bundle:
        bundle.add(str(tmp_path / name), name)
    with pytest.raises(PatchingError, match="file {} of the carried folder: SHA-256".format(name)):
        journey.bring(str(tmp_path / "changed.tar"))
    assert CarriedFiles(journey.offline).index() is None


def test_a_repository_of_the_host_that_was_not_carried_is_named(journey, make_host):
    other = make_host("other", more="deb http://vendor.example/apt stable main\n")
    journey.bring(host=other)
    with pytest.raises(PatchingError, match=r"repository http://vendor\.example/apt.*: it was not carried"):
        journey.pending(other)


def test_a_connected_host_that_lacks_a_repository_says_so_before_anything_is_fetched(journey, make_host, tmp_path):
    request = apt_carry.request(make_host("offline", more="deb http://vendor.example/apt stable main\n"))
    connected = journey.connected
    with pytest.raises(PatchingError, match=r"request of offline: http://vendor\.example/apt.* is no repository here"):
        apt_carry.AptCarry(connected).fetch({"offline": request}, set(), str(tmp_path / "files.tar"))
    other = dict(request, platform="debian trixie arm64")
    filled = apt_carry.AptCarry(connected).fetch({"offline": other}, set(), str(tmp_path / "files.tar"))
    assert (filled["resolved"], filled["files"]) == ({}, [])


class Proxy(Quiet):
    """Lets through who has the login, to the repository that it serves itself."""

    LOGIN = base64.b64encode(b"night:pass@word").decode()

    def do_GET(self):
        if self.headers.get("Proxy-Authorization") != "Basic " + self.LOGIN:
            self.send_error(407, "Proxy Authentication Required")
            return
        self.server.served.append(self.path)
        super().do_GET()


@pytest.fixture
def proxy(repository):
    with Server(repository.folder, Proxy) as serving:
        yield serving
        serving.shutdown()


def test_a_proxy_with_a_login_is_used_and_its_password_never_told(make_host, proxy, tmp_path):
    address = "http://night:{}@127.0.0.1:{}".format("{}", proxy.server_port)
    host = make_host("behind", connected=True, proxy=address.format("pass%40word"))
    found = pending(host, EVERYTHING)
    assert [(one["name"], one["to"]) for one in found["updates"]] == [("viewer", "2.0")]
    assert [path for path in proxy.served if path.endswith("InRelease")], "apt went past the proxy"
    staged = AptStage(host, StageRequest("r1", "behind", found["updates"], None, False)).run()
    assert staged["download_bytes"] > 0
    assert "pass" not in json.dumps([found, staged])

    with pytest.raises(PatchingError, match="407") as refused:
        pending(make_host("refused", connected=True, proxy=address.format("passed-on")), EVERYTHING)
    assert "passed-on" not in str(refused.value)


class Trickle(Quiet):
    """Begins to send what ends with ``server.slow``, and never comes to its end."""

    def copyfile(self, source, outputfile):
        if not self.path.endswith(self.server.slow):
            super().copyfile(source, outputfile)
            return
        outputfile.write(source.read(1))
        outputfile.flush()
        self.server.ended.wait(30)


@pytest.fixture
def trickle(repository):
    with Server(repository.folder, Trickle) as serving:
        serving.ended = threading.Event()
        yield serving
        serving.ended.set()
        serving.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(("slow", "told"), [("Release", "its indexes not here"), (".deb", "1 packages still not here")])
def test_a_mirror_that_never_comes_to_its_end_is_named(make_host, trickle, monkeypatch, slow, told):
    trickle.slow = slow
    host = make_host("slow", connected=True, proxy="http://127.0.0.1:{}".format(trickle.server_port))
    for module in (apt_metadata, apt_download):
        monkeypatch.setattr(module, "LIMIT_S", 3 if slow == "Release" or module is apt_download else 60)
    update = {"name": "viewer", "arch": "all", "from": "1.0", "to": "2.0", "sha256": None, "kind": "upgrade"}
    with pytest.raises(PatchingError, match=r"repository .*127\.0\.0\.1.*: " + told):
        AptStage(host, StageRequest("r1", "slow", [update], None, False)).run()
