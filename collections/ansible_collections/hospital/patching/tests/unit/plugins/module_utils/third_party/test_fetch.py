# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources over real HTTP, through a real proxy; signatures by real keys."""

import base64
import hashlib
import http.server
import subprocess
import threading

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.third_party.fetch import fetch

CONTENT = b"a program"
SHA = hashlib.sha256(CONTENT).hexdigest()


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives the content to whoever has the login, and remembers the paths and logins that it was asked with."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        cut = self.path.endswith("/cut")
        self.send_response(404 if self.path.endswith("/none") else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:3] if cut else CONTENT)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def spec(source, **more):
    return {"name": "viewer", "version": "2", "source": source, "sha256": SHA, **more}


def address(server, path="/it"):
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_file_is_got_once_with_its_login(server, tmp_path):
    path = tmp_path / "store/file"
    assert fetch(spec(address(server)), str(path), Runner(), "ada:geheim", str(tmp_path)) == len(CONTENT)
    assert fetch(spec(address(server)), str(path), Runner(), "ada:geheim", str(tmp_path)) == 0
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
