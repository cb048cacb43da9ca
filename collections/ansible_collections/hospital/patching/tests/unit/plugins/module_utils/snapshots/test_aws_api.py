# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of AWS over HTTP: moto's own server, and servers that answer badly or not at all."""

import http.server
import socket
import sys
import threading
import time

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.registry import create_provider

RUN, EXPIRES = "20261122T034500Z-ab12cd34", "2026-11-25T00:00:00Z"
QUICK = {"region": "eu-central-1", "connect_timeout_s": 1, "read_timeout_s": 1, "attempts": 1, "poll_s": 1}

needs_boto3 = pytest.mark.skipif(
    sys.version_info < (3, 10), reason="moto and boto3 need a newer Python; where they run, it is there"
)


@pytest.fixture(autouse=True)
def login(monkeypatch, tmp_path):
    """A login in the environment, as boto3's own chain finds it, and none of this machine's own."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-show-me")


class HastyClock(Clock):
    """What takes AWS seconds is done at once by these servers."""

    def sleep(self, seconds):
        time.sleep(0.01)


def provider(**options):
    given = dict(QUICK, **dict({"instance_id": "i-0123"}, **options))
    return create_provider("aws_ebs", given, Runner(), HastyClock())


def refused(asking=None, **options):
    """Return what an API like that makes of a look at the instance."""
    with pytest.raises(PatchingError) as raised:
        (asking or provider(**options)).available("db1")
    assert "do-not-show-me" not in str(raised.value)
    return raised.value


def test_without_boto3_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "the Python library boto3 is missing where it runs" in str(refused())
    with pytest.raises(PatchingError, match=r"pip install boto3 there, or set patching_snapshot\.on to a machine"):
        provider().list()


@pytest.mark.parametrize("key", ["aws_secret_access_key", "access_key", "password"])
def test_a_login_does_not_belong_in_the_plan(key):
    with pytest.raises(PatchingError, match="unknown option {}".format(key)):
        provider(**{key: "do-not-show-me"})


@pytest.fixture
def answering():
    """Return a function that starts a server which gives one answer to everything, and counts."""
    servers = []

    def start(status, code, message=""):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                server.asked += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                body = "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors></Response>"
                data = body.format(server.answer[1], message).encode()
                self.send_response(server.answer[0])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        server.answer = (status, code)
        server.asked = 0
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        server.url = "http://127.0.0.1:{}".format(server.server_port)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@needs_boto3
def test_a_wrong_login(answering):
    server = answering(401, "AuthFailure", "You may not. Encoded authorization failure message: 4Kj9")
    asking = provider(endpoint_url=server.url, attempts=3)
    for number, code in enumerate(("AuthFailure", "RequestExpired", "UnauthorizedOperation", "SignatureDoesNotMatch")):
        server.answer = (403, code)
        said = refused(asking)
        assert said.seen == "describe_instances: 403 {}: You may not.".format(code)
        assert said.expected == "a login that may do this"
        assert server.asked == number + 1


@needs_boto3
def test_no_login_at_all(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "boto3's own chain" in refused().expected


@needs_boto3
def test_an_unknown_profile_and_no_region():
    assert "(nobody) could not be found" in str(refused(profile="nobody"))
    assert "must specify a region" in str(refused(region=None))
    assert "Invalid endpoint" in str(refused(endpoint_url="not a url"))


@needs_boto3
def test_a_profile_of_the_machine_where_it_runs(answering, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[night]\naws_access_key_id = AKIANIGHT\naws_secret_access_key = x\n")
    server = answering(401, "AuthFailure")
    assert "AuthFailure" in refused(endpoint_url=server.url, profile="night").seen


@needs_boto3
def test_an_api_that_is_ill_is_asked_a_few_times(answering):
    server = answering(503, "Unavailable")
    asking = provider(endpoint_url=server.url, attempts=2)
    for number, (status, code) in enumerate([(503, "Unavailable"), (503, "RequestLimitExceeded"), (500, "Strange")]):
        server.answer = (status, code)
        said = refused(asking)
        assert said.busy
        assert "{} {}".format(status, code) in said.seen
        assert server.asked == 2 * (number + 1)


@needs_boto3
def test_an_api_that_hangs_is_given_up():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        started = time.monotonic()
        said = refused(endpoint_url="http://127.0.0.1:{}".format(deaf.getsockname()[1]))
        assert "Read timeout" in said.seen
        assert time.monotonic() - started < 10
    assert "Could not connect" in refused(endpoint_url="http://127.0.0.1:{}".format(closed_port())).seen


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@needs_boto3
def test_through_motos_server_a_night_that_went_wrong(monkeypatch):
    """Create, patch, revert, and retention; over HTTP, with the options that a site gives."""
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://127.0.0.1:{}".format(server.get_host_and_port()[1])
        client = boto3.client("ec2", region_name="eu-central-1", endpoint_url=endpoint)
        image = client.register_image(Name="system", RootDeviceName="/dev/sda1")["ImageId"]
        disks = [
            {"DeviceName": device, "Ebs": {"VolumeSize": size, "VolumeType": "gp3", "DeleteOnTermination": delete}}
            for device, size, delete in (("/dev/sda1", 8, True), ("/dev/sdf", 50, False))
        ]
        machine = client.run_instances(ImageId=image, MinCount=1, MaxCount=1, BlockDeviceMappings=disks)
        machine = machine["Instances"][0]["InstanceId"]

        def attached():
            filters = [{"Name": "attachment.instance-id", "Values": [machine]}]
            volumes = client.describe_volumes(Filters=filters)["Volumes"]
            return {one["Attachments"][0]["Device"]: one for one in volumes}

        night = provider(instance_id=machine, endpoint_url=endpoint, read_timeout_s=20)
        before = attached()
        made = keeping.present(night, RUN, "db1", "monthly", EXPIRES).snapshot
        name = {"Key": "Name", "Value": "db1 before {}".format(RUN)}
        sources = {one["device"]: one["id"] for one in made.detail["snapshots"]}
        described = client.describe_snapshots(SnapshotIds=sorted(sources.values()))["Snapshots"]
        assert all(name in one["Tags"] for one in described)
        foreign = client.create_snapshot(
            VolumeId=before["/dev/sda1"]["VolumeId"],
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": [name]}],
        )["SnapshotId"]

        # moto keeps no blocks: what a patch wrote would be on the volumes that are here now.
        keeping.require(night, made.id, RUN, "db1")
        done = night.revert(made.id, "db1")
        after = attached()
        assert {device: one["SnapshotId"] for device, one in after.items()} == sources
        assert {one["VolumeId"] for one in before.values()} == set(done["kept"])
        assert not {one["VolumeId"] for one in after.values()} & set(done["kept"])
        state = client.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]
        assert state["State"]["Name"] == "running"
        flags = {one["DeviceName"]: one["Ebs"]["DeleteOnTermination"] for one in state["BlockDeviceMappings"]}
        assert flags == {"/dev/sda1": True, "/dev/sdf": False}

        assert keeping.absent(night, RUN, made.id).changed
        assert night.list() == []
        left = {one["SnapshotId"] for one in client.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        assert foreign in left
        assert not left & set(sources.values())
        volumes = {one["VolumeId"] for one in client.describe_volumes()["Volumes"]}
        assert volumes == {one["VolumeId"] for one in after.values()}
    finally:
        server.stop()
