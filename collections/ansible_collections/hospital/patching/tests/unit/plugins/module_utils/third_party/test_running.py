# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that must not run, looked for among the processes of a host."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.third_party.running import running


@pytest.fixture
def process(tmp_path):
    def start(pid, command, exe, *words):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(command + "\n")
        (tmp_path / str(pid) / "cmdline").write_text("\0".join(words or [exe]) + "\0")
        (tmp_path / str(pid) / "exe").symlink_to(exe)
        return str(tmp_path)

    return start


@pytest.fixture(params=["seen", "hidden"])
def may_look(request, monkeypatch):
    """Where root may not look at a process, its command line and its name are believed."""
    read = os.readlink

    def denied(path, *others, **more):
        if str(path).endswith("/exe"):
            raise PermissionError(13, "Permission denied", path)
        return read(path, *others, **more)

    if request.param == "hidden":
        monkeypatch.setattr(os, "readlink", denied)
    return request.param == "seen"


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ("/opt/viewer/bin/viewer", ["viewer (20)"]),
        ("/opt/viewer/", ["viewer (20)"]),
        ("/opt/view", []),
        ("/opt/other/bin/viewer", []),
        ("viewer", ["viewer (20)"]),
        ("averylongnamethatiscut", ["averylongnameth (21)"]),
        ("other", []),
        ("/opt/My Viewer/run", ["run (22)"]),
        ("/opt/My Viewer/", ["run (22)"]),
    ],
)
def test_by_path_folder_and_name(process, may_look, item, found):
    process(20, "viewer", "/opt/viewer/bin/viewer", "/opt/viewer/bin/viewer", "--all")
    process(21, "averylongnameth", "/opt/a/averylongnamethatiscut", "averylongnamethatiscut")
    assert running([item], process(22, "run", "/opt/My Viewer/run")) == found


def test_one_that_calls_itself_something_else(process, may_look):
    """Better one too many that must not run than one too few."""
    assert running(["/opt/viewer/bin/viewer"], process(20, "viewer", "/opt/viewer/bin/viewer", "viewer: idle")) == [
        "viewer (20)"
    ]


def test_one_that_was_started_through_a_link(process, may_look, tmp_path_factory):
    folder = tmp_path_factory.mktemp("opt").resolve()
    (folder / "viewer").write_text("")
    (folder / "link").symlink_to("viewer")
    program = str(folder / "viewer")
    assert running([program], process(20, "link", program, str(folder / "link"))) == ["link (20)"]


def test_a_thread_of_the_kernel_has_no_program(process):
    proc = process(20, "kworker", "/opt/x")
    os.unlink(os.path.join(proc, "20/exe"))
    assert running(["/opt/kworker"], proc) == []
