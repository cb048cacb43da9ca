# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that makes a restore point is killed, SIGKILL, just before or after it was made; then it is resumed or swept.

Three providers that differ in what they remember: `container` has nothing but an image's labels, `vsphere` a task that
goes on without its caller, `aws_ebs` a set of snapshots that is sealed one by one. What is there is counted past the
provider, by podman, vCenter and AWS's API themselves. Podman has a store of its own here and starts nothing.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from tests.snapshots.conftest import RUN, QuickClock
from tests.support.playbook import ROOT, Played, play
from tests.support.processes import kill_tree
from tests.support.vcenter.front import PASSWORD, USER, vcenter

HOST = "db1"
PATIENCE_S = 60
#: Whoever is to be killed waits for longer than anybody takes to do it.
HELD_S = 600


class Gate:
    """Holds up the one call to a server in which its caller is to be killed."""

    def __init__(self) -> None:
        self.wanted: Callable[[str], bool] = lambda _call: False
        self.reached = threading.Event()
        self.opened = threading.Event()

    def pass_through(self, call: str) -> bool:
        """Wait here if this is the call, until its caller is dead; False then."""
        if self.reached.is_set() or not self.wanted(call):
            return True
        self.reached.set()
        self.opened.wait(HELD_S)
        return False


class Bed:
    """A provider, what it is asked for db1, and what is really there."""

    provider = ""
    options: dict[str, Any]

    def arm(self, point: str) -> None:
        """Have the next call held up at this point."""
        raise NotImplementedError

    def reached(self) -> bool:
        raise NotImplementedError

    def killed(self) -> None:
        """Let everything through again."""

    def there(self) -> set[str]:
        """All snapshots of the host, whoever made them."""
        raise NotImplementedError

    def make_foreign(self) -> None:
        """Make one of the name that ours has, and what else looks like ours."""
        raise NotImplementedError

    def made_of(self, snapshot: dict[str, Any]) -> set[str]:
        """What the provider has made for this restore point."""
        return {str(snapshot["id"])}


class ContainerBed(Bed):
    provider = "container"

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        store = ["podman", "--root", str(folder / "store"), "--runroot", run]
        self.podman = [*store, "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        base = folder / "base.tar"
        with tarfile.open(base, "w") as tar:
            tar.addfile(tarfile.TarInfo("etc"), io.BytesIO())
        self.ask("import", str(base), "localhost/base:1")
        self.ask("create", "--network", "none", "--name", HOST, "localhost/base:1", "/sbin/init")
        engine = folder / "engine"
        engine.write_text(
            "#!/bin/sh\n"
            f"hold() {{ [ ! -e '{folder}'/$1 ] || {{ mv '{folder}'/$1 '{folder}/reached'; sleep {HELD_S}; }}; }}\n"
            '[ "$1" != commit ] || hold before\n'
            f'{" ".join(self.podman)} "$@" || exit\n'
            '[ "$1" != commit ] || hold after\n'
        )
        engine.chmod(0o755)
        self.options = {"engine": [str(engine)], "min_free_bytes": 1}
        self.built = self.images()

    def ask(self, *words: str) -> str:
        done = subprocess.run([*self.podman, *words], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def images(self) -> set[str]:
        return set(self.ask("images", "--all", "--quiet", "--no-trunc").split())

    def arm(self, point: str) -> None:
        (self.folder / point).touch()

    def reached(self) -> bool:
        return (self.folder / "reached").exists()

    def there(self) -> set[str]:
        return self.images() - self.built

    def make_foreign(self) -> None:
        labels = {"run_id": RUN, "host": HOST, "created": stamp(datetime.now(UTC)), "expires": stamp(datetime.now(UTC))}
        copied = [
            word for key, value in labels.items() for word in ("--change", f"LABEL hospital.patching.{key}={value}")
        ]
        self.ask("commit", "--change", "LABEL of=somebody", HOST, f"localhost/hospital-patching/{HOST}:monthly")
        self.ask("commit", *copied, HOST, f"localhost/theirs/{HOST}:{RUN}")

    def end(self) -> None:
        self.ask("rm", "--all", "--force")
        self.ask("rmi", "--all", "--force")


class VsphereBed(Bed):
    provider = "vsphere"

    def __init__(self, site: Any) -> None:
        self.site, self.gate = site, Gate()
        self.options = {**site.common, "poll_s": 1, "dmi_uuid": site.machines["DC0_H0_VM0"][1]}

    def arm(self, point: str) -> None:
        front = self.site.front
        front.asked.clear()
        made = "CreateSnapshot_Task"
        at = {"before": lambda call: call == made, "after": lambda call: made in front.asked and call != made}
        self.gate.wanted = at[point]
        front.trouble = lambda call: None if self.gate.pass_through(call) else "lost before"

    def reached(self) -> bool:
        return self.gate.reached.is_set()

    def killed(self) -> None:
        self.gate.opened.set()

    def there(self) -> set[str]:
        return set(self.site.snapshots())

    def make_foreign(self) -> None:
        self.site.foreign(f"hospital.patching {RUN}")


class AwsBed(Bed):
    provider = "aws_ebs"

    def __init__(self, client: Any, endpoint: str, gate: Gate) -> None:
        self.client, self.gate = client, gate
        image = client.register_image(Name="system", RootDeviceName="/dev/sda1")["ImageId"]
        disks = [
            {"DeviceName": device, "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}}
            for device in ("/dev/sda1", "/dev/sdf")
        ]
        launched = client.run_instances(ImageId=image, MinCount=1, MaxCount=1, BlockDeviceMappings=disks)
        self.machine = launched["Instances"][0]["InstanceId"]
        self.options = {"region": "eu-central-1", "endpoint_url": endpoint, "instance_id": self.machine, "poll_s": 1}
        self.built = self.snapshots()

    def arm(self, point: str) -> None:
        calls: list[str] = []

        def wanted(call: str) -> bool:
            calls.append(call)
            if point == "before":
                return call == "CreateSnapshots"
            if point == "after":
                return call == "CreateTags"
            if point == "half sealed":
                return calls.count("CreateTags") == 2
            return calls.count("CreateTags") == 2 and call != "CreateTags"

        self.gate.wanted = wanted

    def reached(self) -> bool:
        return self.gate.reached.is_set()

    def killed(self) -> None:
        self.gate.opened.set()

    def snapshots(self) -> set[str]:
        return {one["SnapshotId"] for one in self.client.describe_snapshots(OwnerIds=["self"])["Snapshots"]}

    def there(self) -> set[str]:
        return self.snapshots() - self.built

    def make_foreign(self) -> None:
        filters = [{"Name": "attachment.instance-id", "Values": [self.machine]}]
        volume = self.client.describe_volumes(Filters=filters)["Volumes"][0]["VolumeId"]
        tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "Name", "Value": f"{HOST} before {RUN}"}]}]
        self.client.create_snapshot(VolumeId=volume, TagSpecifications=tags)

    def made_of(self, snapshot: dict[str, Any]) -> set[str]:
        return {str(one["id"]) for one in snapshot["detail"]["snapshots"]}


@pytest.fixture
def container_bed(tmp_path: Path) -> Iterator[Bed]:
    if not shutil.which("podman") or os.getuid() != 0:
        pytest.skip("podman is not here, or may not keep images: tools/system_packages.sh podman, and root")
    with tempfile.TemporaryDirectory(prefix="podman-") as run:  # podman wants its path to be short
        bed = ContainerBed(tmp_path, run)
        yield bed
        bed.end()


@pytest.fixture
def vsphere_bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    from tests.snapshots.test_vsphere import Site  # noqa: PLC0415 - which skips where the simulator is not built

    for name, value in (("HOST", "127.0.0.1"), ("USER", USER), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(f"VMWARE_{name}", value)
    with vcenter(tmp_path) as front:
        site = Site(front, tmp_path, QuickClock())
        yield VsphereBed(site)
        site.owner.close()


@pytest.fixture
def aws_bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    import boto3  # noqa: PLC0415 - nobody else in here waits for it
    from moto.backends import get_backend  # noqa: PLC0415
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = {"CONFIG_FILE": tmp_path / "config", "SHARED_CREDENTIALS_FILE": tmp_path / "credentials"}
    settings |= {"EC2_METADATA_DISABLED": "true", "ACCESS_KEY_ID": "AKIAEXAMPLE", "SECRET_ACCESS_KEY": "do-not-show-me"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", str(value))
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    behind, gate = DomainDispatcherApplication(create_backend_app), Gate()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if gate.pass_through(parse_qs(body.decode()).get("Action", [""])[0]):
            return behind(environ, start_response)
        start_response("503 Service Unavailable", [])
        return [b""]

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    client = boto3.client("ec2", region_name="eu-central-1", endpoint_url=endpoint)
    yield AwsBed(client, endpoint, gate)
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()
    for backend in get_backend("ec2").values():
        for region in backend.values():
            region.reset()


@pytest.fixture
def bed(request: pytest.FixtureRequest) -> Bed:
    made: Bed = request.getfixturevalue(f"{request.param}_bed")
    made.make_foreign()
    return made


def command(name: str, bed: Bed, **options: Any) -> list[str]:
    given = {"provider": bed.provider, "options": bed.options, "host": HOST, **options}
    module = f"ansible_collections.hospital.patching.plugins.modules.{name}"
    return [sys.executable, "-m", module, json.dumps({"ANSIBLE_MODULE_ARGS": given})]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "collections")}


def call(name: str, bed: Bed, **options: Any) -> dict[str, Any]:
    """Return what the module answers that nobody kills."""
    done = subprocess.run(command(name, bed, **options), env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def restore_point(bed: Bed, expires: str) -> dict[str, Any]:
    return {"run_id": RUN, "reason": "before the night", "expires": expires}


def killed_call(bed: Bed, point: str, expires: str) -> set[str]:
    """Kill the module and all that it has started at this point; return what it has left at the provider."""
    foreign = bed.there()
    bed.arm(point)
    words = command("host_snapshot", bed, **restore_point(bed, expires))
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    deadline = time.monotonic() + PATIENCE_S
    while not bed.reached():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, f"it never came to {point}"
        time.sleep(0.02)
    kill_tree(process.pid)
    assert process.wait() == -9
    assert process.stdout.read() == "", "it has answered, so that it was not killed in the call"
    process.stdout.close()
    bed.killed()
    return bed.there() - foreign


class Night:
    """The run of the killed call, and the housekeeping that comes after it, by its playbook."""

    def __init__(self, folder: Path, bed: Bed) -> None:
        self.evidence = folder / "evidence"
        run = self.evidence / RUN
        run.mkdir(parents=True)
        (run / "plan.json").write_text('{"hosts": {}}')
        self.ledger = Ledger(run / "ledger.jsonl")
        variables = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "patching_device_segments": [],
            "patching_snapshot": {"provider": bed.provider, "on": HOST, **bed.options},
        }
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps({"all": {"hosts": {HOST: variables}}}))
        self.record(None, "gate", "begin", plan_digest="sha256:1")
        self.record(HOST, "lock", "done")
        self.record(HOST, "snapshot", "begin")

    def record(self, host: str | None, step: str, event: str, **detail: Any) -> None:
        self.ledger.append(RUN, step, event, host=host, detail=detail)

    def close(self, outcome: str) -> None:
        self.record(HOST, "return", "done", module="hospital.patching.host_journal")
        self.record(HOST, "record", "outcome", outcome=outcome, reason="as the test wants it")
        self.record(None, "record", "done", outcomes={HOST: outcome})

    def keep_house(self) -> str:
        """Return what was told."""
        settings = {"patching_evidence_dir": str(self.evidence), "patching_hosts": HOST}
        played: Played = play("playbooks/housekeeping.yml", inventory=self.inventory, extra=settings)
        assert played.rc == 0, played.stdout
        (told,) = played.results("Show it")
        return " ".join(told["msg"])


POINTS = {
    "container": ("before", "after"),
    "vsphere": ("before", "after"),
    "aws": ("before", "after", "half sealed", "sealed"),
}
RESUMED = [pytest.param(name, point, id=f"{name}-{point}") for name, points in POINTS.items() for point in points]
#: Of the calls that left something, `make test` has one of each provider.
LEFT = [
    pytest.param(name, point, id=f"{name}-{point}", marks=[] if point == "after" else pytest.mark.slow)
    for name, points in POINTS.items()
    for point in points
    if point != "before"
]


@pytest.mark.slow
@pytest.mark.parametrize(("bed", "point"), RESUMED, indirect=["bed"])
def test_the_call_of_a_resumed_run_leaves_one_restore_point_and_its_end_none(bed, point, tmp_path):
    """The second call takes up what the first one has made, or clears it away; retention deletes it in its time."""
    foreign = bed.there()
    night = Night(tmp_path, bed)
    expires = stamp(datetime.now(UTC) + timedelta(seconds=1))
    left = killed_call(bed, point, expires)
    assert bool(left) is (point != "before")
    answer = call("host_snapshot", bed, **restore_point(bed, expires))
    made = answer["snapshot"]
    assert bed.there() - foreign == bed.made_of(made), "something was made twice, or is left over"
    assert (made["run_id"], made["host"], made["reason"]) == (RUN, HOST, "before the night")
    # AWS's sets are of use once all of them are sealed.
    if left and (bed.provider != "aws_ebs" or point == "sealed"):
        assert (answer["changed"], bed.made_of(made)) == (False, left), "the first one was not taken up"
    assert call("host_snapshot_info", bed, run_id=RUN)["snapshots"] == [made]

    night.record(HOST, "snapshot", "done", module="hospital.patching.host_snapshot", snapshot=made)
    night.record(HOST, "install", "done", changed=True)
    night.close("patched")
    told = night.keep_house()
    assert f"Deleted: {bed.provider} restore point {made['id']} of {HOST} (run {RUN}): its retention ended" in told
    assert bed.there() == foreign


@pytest.mark.parametrize(("bed", "point"), LEFT, indirect=["bed"])
def test_what_a_run_has_left_that_nobody_resumes_is_swept_once_it_is_closed(bed, point, tmp_path):
    """As long as the run is open it may be resumed, and what it has left may be its way back."""
    foreign = bed.there()
    night = Night(tmp_path, bed)
    left = killed_call(bed, point, stamp(datetime.now(UTC) + timedelta(days=3)))
    assert left
    told = night.keep_house()
    assert f"run {RUN} is not closed; if its controller is dead, recover.yml closes it" in told
    assert bed.there() == foreign | left

    night.close("not_started")
    told = night.keep_house()
    assert f"of {HOST} (run {RUN}): its run is closed and has changed nothing on the host" in told
    assert told.count("Deleted: ") == 1
    assert bed.there() == foreign
