# SPDX-License-Identifier: GPL-3.0-or-later
"""Snaps, flatpaks and container images.

flatpak_list.txt was printed by flatpak 1.14 on Debian 12, podman_images.json by podman 4.3 (one image of two names,
which podman tells twice). The answers of snapd, the Docker Engine and crictl are written after their documentation:
snapcraft.io/docs/snapd-api, docs.docker.com/reference/api/engine (ImageList), the CRI's ListImages.
"""

import json
import os
import socket
import threading

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.software import (
    container_images,
    daemons,
    flatpaks,
    snaps,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import PartialError
from ansible_collections.hospital.patching.plugins.module_utils.software.unix_http import get_json

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded")

SNAPD = {
    "type": "sync",
    "status-code": 200,
    "status": "OK",
    "result": [
        {
            "name": "core22",
            "version": "20240111",
            "revision": "1122",
            "channel": "latest/stable",
            "tracking-channel": "latest/stable",
            "type": "base",
            "status": "active",
            "publisher": {"id": "canonical", "username": "canonical", "display-name": "Canonical"},
        },
        {"name": "a-local-one", "version": "1.0", "revision": "x1", "channel": "", "developer": "", "status": "active"},
    ],
}
DOCKER = [
    {
        "Id": "sha256:ec3f0931a6e6b6855d76b2d7b0be30e81860baccd891b2e243280bf1cd8ad710",
        "ParentId": "",
        "RepoTags": ["nginx:1.25", "nginx:latest"],
        "RepoDigests": ["nginx@sha256:992069aee4016783df6345315302fa59681aae51a8eeb2f889dea59290f21787"],
        "Created": 1644009612,
        "Size": 172064416,
        "SharedSize": -1,
        "Labels": None,
        "Containers": -1,
    },
    {"Id": "sha256:0b", "RepoTags": ["<none>:<none>"], "Created": 1474925151, "Size": 5},
]
CRICTL = {
    "images": [
        {
            "id": "sha256:e6f1816883972d4be47bd48879a08919b96afcd344132622e4d444987919323c",
            "repoTags": ["registry.k8s.io/pause:3.9"],
            "repoDigests": ["registry.k8s.io/pause@sha256:7031c1b2"],
            "size": "321520",
            "uid": {"value": "65535"},
            "username": "",
            "spec": None,
            "pinned": True,
        }
    ]
}


def recorded(name):
    with open(os.path.join(RECORDED, name), encoding="utf-8") as handle:
        return handle.read()


class Answers:
    """A runner that answers by command."""

    def __init__(self, **texts):
        self.texts = texts
        self.calls = []

    def run(self, args, timeout_s=0, **_others):
        assert 0 < timeout_s <= 20
        self.calls.append(args)
        text = self.texts[args[0]]
        if isinstance(text, Exception):
            raise text
        return Result(args, 0, text, "")


@pytest.fixture
def host(tmp_path):
    return Host(Answers(), Clock(), str(tmp_path), "")


def install(host, *commands):
    directory = os.path.join(host.root, "usr/bin")
    os.makedirs(directory, exist_ok=True)
    for command in commands:
        with open(os.path.join(directory, command), "w") as handle:
            handle.write("")
        os.chmod(os.path.join(directory, command), 0o755)


def process(host, name, pid="7", namespace="pid:[1]"):
    """Let ``name`` run on the host."""
    for number, command in (("self", "python3"), ("1", "systemd"), (pid, name)):
        directory = os.path.join(host.root, "proc", number)
        os.makedirs(directory + "/ns", exist_ok=True)
        with open(directory + "/comm", "w") as handle:
            handle.write(command + "\n")
        if not os.path.islink(directory + "/ns/pid"):
            os.symlink(namespace if number == pid else "pid:[1]", directory + "/ns/pid")


@pytest.fixture
def of_root(monkeypatch):
    """Let every process be root's, whoever runs the tests."""
    real = os.stat

    def stat(path, *others, **more):
        seen = real(path, *others, **more)
        if isinstance(path, str) and "/proc/" in path:
            return os.stat_result(list(seen)[:4] + [stat.owner] + list(seen)[5:])
        return seen

    stat.owner = 0
    monkeypatch.setattr(daemons.os, "stat", stat)
    return stat


@pytest.fixture
def unconnected(monkeypatch):
    """Fail at every connection."""

    def connect(*_args, **_others):
        raise AssertionError("connected")

    monkeypatch.setattr(snaps, "get_json", connect)
    monkeypatch.setattr(container_images, "get_json", connect)


def listen(host, path, monkeypatch):
    """Return a listening socket, as systemd holds it for a daemon that does not run."""
    full = os.path.join(host.root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    monkeypatch.chdir(os.path.dirname(full))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.path.basename(full))
    listener.listen(1)
    return listener


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """Return a function that answers one request on a UNIX socket with ``body``."""
    threads = []

    def start(path, body, status="200 OK"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # A socket's path holds at most 107 bytes.
        monkeypatch.chdir(os.path.dirname(path))
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.path.basename(path))
        listener.listen(1)
        listener.settimeout(10)

        def serve():
            connection, _peer = listener.accept()
            requests.append(connection.recv(65536).decode().split("\r\n")[0])
            head = "HTTP/1.0 {}\r\nContent-Type: application/json\r\n\r\n".format(status)
            connection.sendall(head.encode() + body)
            connection.close()
            listener.close()

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return requests

    requests = []
    yield start
    for thread in threads:
        thread.join(10)


def test_snaps_from_the_daemon(host, daemon, of_root):
    os.makedirs(os.path.join(host.root, "snap/core22"))
    process(host, "snapd")
    requests = daemon(os.path.join(host.root, "run/snapd.socket"), json.dumps(SNAPD).encode())
    assert snaps.collect(host) == [
        {"name": "a-local-one", "version": "1.0", "revision": "x1", "channel": None, "publisher": None},
        {
            "name": "core22",
            "version": "20240111",
            "revision": "1122",
            "channel": "latest/stable",
            "publisher": "canonical",
        },
    ]
    assert requests == ["GET /v2/snaps HTTP/1.0"]


def test_no_snaps(host):
    assert snaps.collect(host) == []
    os.makedirs(os.path.join(host.root, "snap/bin"))
    assert snaps.collect(host) == []


def test_snaps_without_their_daemon_are_told(host):
    os.makedirs(os.path.join(host.root, "snap/core22"))
    with pytest.raises(PatchingError, match="no socket"):
        snaps.collect(host)


def test_a_daemon_that_does_not_run_is_not_started(host, monkeypatch, unconnected, of_root):
    with listen(host, "run/snapd.socket", monkeypatch), listen(host, "run/docker.sock", monkeypatch):
        assert snaps.collect(host) == []
        os.makedirs(os.path.join(host.root, "snap/core22"))
        process(host, "snapd-helper")
        with pytest.raises(PatchingError, match="no process snapd"):
            snaps.collect(host)
        with pytest.raises(PartialError, match="no process dockerd"):
            container_images.collect(host)


def test_which_processes_are_the_daemon(host, of_root):
    assert not daemons.runs(host.root, "dockerd")
    process(host, "dockerd", "7")
    assert daemons.runs(host.root, "snapd", "dockerd")
    of_root.owner = 1000
    assert not daemons.runs(host.root, "dockerd"), "anybody may call a program so"
    of_root.owner = 0
    process(host, "other", "7")
    process(host, "dockerd", "8", "pid:[2]")
    assert not daemons.runs(host.root, "dockerd"), "it is a container's"


@pytest.mark.parametrize("answer", [None, [], {}, {"result": None}, {"result": ["core22"]}])
def test_another_answer_of_snapd_is_refused(answer):
    with pytest.raises(ValueError, match="no list of snaps"):
        snaps.parse_snaps(answer)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", "200 OK"), (b"{}", "503 Service Unavailable"), (b"", "200 OK"), (b"[" * 200000, "200 OK")],
    ids=["cut", "503", "empty", "deep"],
)
def test_a_daemon_that_answers_badly(host, daemon, body, status):
    path = os.path.join(host.root, "run/x.sock")
    daemon(path, body, status)
    with pytest.raises(PatchingError, match="expected JSON"):
        get_json(path, "/")


def test_a_daemon_that_does_not_answer(host, monkeypatch):
    os.makedirs(os.path.join(host.root, "run"))
    monkeypatch.chdir(os.path.join(host.root, "run"))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("x.sock")
    listener.listen(1)
    with pytest.raises(PatchingError, match="timed out"):
        get_json("x.sock", "/", timeout_s=0.2)
    listener.close()


def test_a_daemon_that_drips(host, monkeypatch):
    os.makedirs(os.path.join(host.root, "run"))
    monkeypatch.chdir(os.path.join(host.root, "run"))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("x.sock")
    listener.listen(1)
    over = threading.Event()

    def drip():
        connection, _peer = listener.accept()
        while not over.wait(0.05):
            try:
                connection.sendall(b"x")
            except OSError:
                break
        connection.close()

    thread = threading.Thread(target=drip)
    thread.start()
    with pytest.raises(PatchingError, match="timed out"):
        get_json("x.sock", "/", timeout_s=0.3)
    over.set()
    thread.join(10)
    listener.close()


def test_flatpaks(host):
    host = host._replace(runner=Answers(flatpak=recorded("flatpak_list.txt")))
    assert flatpaks.collect(host) == []
    assert host.runner.calls == []
    os.makedirs(os.path.join(host.root, "var/lib/flatpak/app/org.hospital.Viewer"))
    assert flatpaks.collect(host) == [
        {"id": "org.hospital.Platform", "branch": "24.08", "arch": "x86_64", "version": None, "origin": "hospital"},
        {"id": "org.hospital.Viewer", "branch": "stable", "arch": "x86_64", "version": None, "origin": "hospital"},
    ]


def test_a_table_for_people_is_refused():
    with pytest.raises(ValueError, match="columns"):
        flatpaks.parse_list("Name   Application ID   Version\n")


def test_images_of_podman_each_once(host):
    install(host, "podman")
    host = host._replace(runner=Answers(podman=recorded("podman_images.json")))
    assert container_images.collect(host) == [
        {
            "engine": "podman",
            "id": "06db04401241d82bf67bce4aca4e8da6cccc3e6f232429ce8dcda3bdcdf215b8",
            "names": ["localhost/pacs-viewer:1.2", "localhost/pacs-viewer:latest"],
            "created": "2026-11-25T21:10:08Z",
            "size_bytes": 3536,
        }
    ]


def test_images_of_docker(host, daemon, of_root):
    process(host, "dockerd")
    requests = daemon(os.path.join(host.root, "run/docker.sock"), json.dumps(DOCKER).encode())
    unnamed, nginx = container_images.collect(host)
    assert nginx == {
        "engine": "docker",
        "id": "ec3f0931a6e6b6855d76b2d7b0be30e81860baccd891b2e243280bf1cd8ad710",
        "names": ["nginx:1.25", "nginx:latest"],
        "created": "2022-02-04T21:20:12Z",
        "size_bytes": 172064416,
    }
    assert (unnamed["id"], unnamed["names"]) == ("0b", [])
    assert requests == ["GET /images/json HTTP/1.0"]


def test_images_of_a_cri(host, daemon):
    daemon(os.path.join(host.root, "run/containerd/containerd.sock"), b"")
    install(host, "crictl")
    host = host._replace(runner=Answers(crictl=json.dumps(CRICTL)))
    (image,) = container_images.collect(host)
    assert (image["engine"], image["names"]) == ("cri", ["registry.k8s.io/pause:3.9"])
    assert (image["size_bytes"], image["created"]) == (321520, None)
    # Let the double's listener end.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect("containerd.sock")
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.recv(100)


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '["x"]', PatchingError("podman", "no end after 20 s", "an end", "look")]
)
def test_an_engine_that_fails_leaves_the_others(host, daemon, of_root, text):
    process(host, "dockerd")
    daemon(os.path.join(host.root, "run/docker.sock"), json.dumps(DOCKER).encode())
    install(host, "podman")
    host = host._replace(runner=Answers(podman=text))
    with pytest.raises(PartialError, match="podman: ") as caught:
        container_images.collect(host)
    assert [image["engine"] for image in caught.value.part] == ["docker", "docker"]


@pytest.mark.parametrize("text", ["null", "[]", '[{"Id": null, "Created": "x", "Size": "y", "Names": "z"}]'])
def test_odd_answers_of_podman(text):
    images = container_images.parse_podman(json.loads(text))
    assert all(image["created"] is None and image["size_bytes"] is None and image["names"] == [] for image in images)


def test_no_engine(host):
    assert container_images.collect(host) == []
