# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources over real HTTP, through a real proxy; signatures by real keys."""

import base64
import contextlib
import hashlib
import http.server
import shutil
import signal
import subprocess
import threading

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import EVERYTHING, StageRequest
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.third_party.fetch import fetch
from ansible_collections.hospital.patching.plugins.module_utils.third_party.joined import Joined
from ansible_collections.hospital.patching.plugins.module_utils.third_party.logins import Logins

CONTENT = b"a program"
SHA = hashlib.sha256(CONTENT).hexdigest()


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives the content to whoever has the login, and remembers the paths and logins that it was asked with."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        cut = self.path.endswith("/cut")
        if self.path == "/slow-header":
            self.trickle(b"HTTP/1.0 200 OK\r\nX: ")
        self.send_response(404 if self.path.endswith("/none") else 200)
        if self.path not in ("/no-length", "/slow-body"):
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/slow-body":
            self.trickle(b"")
        self.wfile.write(CONTENT[:3] if cut else CONTENT)

    def trickle(self, begin):
        """Write byte after byte: the socket never says nothing for long."""
        with contextlib.suppress(OSError):
            self.wfile.write(begin)
            for _number in range(250):
                self.wfile.write(b"x")
                self.server.ended.wait(0.02)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as running:
        running.asked = []
        running.ended = threading.Event()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.ended.set()
        running.shutdown()
        thread.join()


def spec(source, **more):
    return {"name": "viewer", "version": "2", "source": source, "sha256": SHA, **more}


def address(server, path="/it"):
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_file_is_got_once_with_its_login(server, tmp_path):
    path = tmp_path / "store/file"
    wanted = spec(address(server))
    logins = Logins({"viewer": "ada:geheim"}, wanted)
    assert fetch(wanted, str(path), Runner(), logins, str(tmp_path)) == len(CONTENT)
    assert fetch(wanted, str(path), Runner(), logins, str(tmp_path)) == 0
    assert server.asked == [("/it", "Basic " + base64.b64encode(b"ada:geheim").decode())]
    assert path.read_bytes() == CONTENT


def test_the_hosts_proxy_is_used_and_its_password_is_not_shown(server, tmp_path):
    (tmp_path / "etc").mkdir()
    proxy = f"http://proxy:geheim@127.0.0.1:{server.server_port}"
    (tmp_path / "etc/environment").write_text(f'http_proxy="{proxy}"\n')
    path = str(tmp_path / "file")
    fetch(spec("http://mirror.invalid/it"), path, Runner(), None, str(tmp_path))
    assert server.asked == [("http://mirror.invalid/it", None)]
    with pytest.raises(PatchingError) as refused:
        fetch(spec("http://mirror.invalid/none", sha256="0" * 64), path, Runner(), None, str(tmp_path))
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        ("/none", {}, "Not Found"),
        ("/cut", {}, "3 of 9 bytes"),
        ("/it", {"sha256": "0" * 64}, "has SHA-256 " + SHA),
    ],
)
def test_what_is_not_the_file_is_refused_and_not_kept(server, tmp_path, path, more, said):
    with pytest.raises(PatchingError, match=said) as refused:
        fetch(spec(address(server, path), **more), str(tmp_path / "file"), Runner(), None, str(tmp_path))
    assert "nothing was changed" in refused.value.next_step
    assert list(tmp_path.iterdir()) == []


LOGINS = {
    "viewer": "ada:geheim",
    "viewer@keys.example": "eve:secret",
    "viewer@mirror.example:8080": "bob:hidden",
    "java": "other:entry",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://mirror.example/viewer", "ada:geheim"),
        ("https://MIRROR.example:443/viewer.sig", "ada:geheim"),
        ("http://mirror.example/viewer.sig", None),  # not in clear text
        ("https://mirror.example:8443/viewer", None),
        ("https://mirror.example.evil/viewer", None),
        ("https://mirror.example:8080/viewer", "bob:hidden"),
        ("https://keys.example/viewer.sig", "eve:secret"),
        ("http://keys.example:8081/viewer.sig", None),
        ("https://archive.example/viewer", None),
        ("/srv/viewer", None),
    ],
)
def test_a_login_is_for_the_server_that_it_was_given_for(url, expected):
    assert Logins(LOGINS, {"name": "viewer", "source": "https://mirror.example/viewer"}).of(url) == expected


def test_a_login_reaches_neither_the_servers_of_signatures_nor_those_of_other_versions(server, tmp_path):
    elsewhere = address(server, "/sig").replace("127.0.0.1", "localhost")
    wanted = spec(address(server), signature={"source": elsewhere, "allowed_signers": "/none", "signer": "ada"})
    logins = Logins({"viewer": "ada:geheim"}, wanted)
    with pytest.raises(PatchingError, match="its signature is not good"):
        fetch(wanted, str(tmp_path / "file"), Runner(), logins, str(tmp_path))
    assert [path for path, login in server.asked if login] == ["/it"]
    previous = spec(elsewhere, version="1")
    fetch(previous, str(tmp_path / "before"), Runner(), logins, str(tmp_path))
    assert server.asked[1:] == [("/sig", None), ("/sig", None)]


def test_the_stage_gives_each_server_its_own_login(server, night, tmp_path):
    (tmp_path / "installed").write_text("1")
    entry = spec(address(server), type="installer", detect={"file": str(tmp_path / "installed")})
    before = address(server, "/before").replace("127.0.0.1", "localhost")
    entry["previous"] = {"version": "1", "source": before, "sha256": SHA}
    for logins in ({"viewer": "ada:geheim"}, {f"viewer@localhost:{server.server_port}": "eve:secret"}):
        updates = night.joined(entry).pending(EVERYTHING)["updates"]
        Joined(night.packages, [], logins).stage(StageRequest("R1", "h1", updates, None, check=False))
        shutil.rmtree(tmp_path / "state/software")
    ada, eve = ("Basic " + base64.b64encode(login).decode() for login in (b"ada:geheim", b"eve:secret"))
    assert server.asked == [("/it", ada), ("/before", None), ("/it", None), ("/before", eve)]


@pytest.mark.parametrize("query", ["?token=geheim", "?geheim", "?token=ge heim&x=1"])
def test_a_query_is_asked_with_and_never_shown(server, tmp_path, query):
    for path in ("/it", "/none"):
        wanted = spec(address(server, path), sha256="0" * 64)
        with pytest.raises(PatchingError) as refused:
            fetch(wanted, str(tmp_path / "file"), Runner(), Logins({"viewer": query}, wanted), str(tmp_path))
        said = str(refused.value)
        assert not [secret for secret in ("geheim", "heim") if secret in said]
        assert address(server, path) in said
    if " " not in query:
        assert server.asked == [("/it" + query, None), ("/none" + query, None)]


@pytest.mark.parametrize("path", ["/slow-header", "/slow-body"])
def test_a_server_that_trickles_is_given_up_and_nothing_is_left(server, tmp_path, path):
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(PatchingError, match=r"not there after 0\.2 s.*download_timeout_s.*nothing was changed"):
        fetch(
            spec(address(server, path), download_timeout_s=0.2), str(tmp_path / "file"), Runner(), None, str(tmp_path)
        )
    assert list(tmp_path.iterdir()) == []
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (before, (0.0, 0.0))


@pytest.mark.parametrize("path", ["/it", "/no-length"])
def test_what_is_longer_than_declared_is_refused_and_not_kept(server, tmp_path, path):
    with pytest.raises(PatchingError, match=r"has 9 bytes or more; expected at most 8\. .*size_bytes"):
        fetch(spec(address(server, path), size_bytes=8), str(tmp_path / "file"), Runner(), None, str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    fetch(spec(address(server, path), size_bytes=9), str(tmp_path / "file"), Runner(), None, str(tmp_path))
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.fixture
def signed(tmp_path):
    """Return a file with an SSH signature by Ada, and the entry's signature."""
    source, key, signers = tmp_path / "it", tmp_path / "key", tmp_path / "signers"
    source.write_bytes(CONTENT)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "file", str(source)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signers.write_text("ada " + key.with_suffix(".pub").read_text())
    return str(source), {"source": f"{source}.sig", "allowed_signers": str(signers), "signer": "ada"}


def test_a_signature_by_the_named_key_is_good(signed, tmp_path):
    source, signature = signed
    fetch(spec(source, signature=signature), str(tmp_path / "kept"), Runner())
    assert (tmp_path / "kept").read_bytes() == CONTENT


def test_a_signature_by_another_key_or_of_another_file_is_refused(signed, tmp_path):
    source, signature = signed
    for other in (dict(signature, signer="eve"), dict(signature, source=source)):
        with pytest.raises(PatchingError, match="its signature is not good"):
            fetch(spec(source, signature=other), str(tmp_path / "kept"), Runner())
    assert not list(tmp_path.glob("kept*"))
