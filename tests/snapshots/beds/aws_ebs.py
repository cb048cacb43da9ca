# SPDX-License-Identifier: GPL-3.0-or-later
"""Bed of the provider aws_ebs: moto's server, a double of AWS, on loopback.

moto keeps no blocks and completes everything at once. What is on a volume is kept here by its id, and what is on a
volume that was made from a snapshot is what its source had when that snapshot was first seen; so it is shown which
volumes the instance runs on after a revert, and not that AWS puts blocks back, nor how long it takes.
"""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.snapshots.beds.base import Bed, Point

REGION = "eu-central-1"
DISKS = (("/dev/sda1", 8, True), ("/dev/sdf", 50, False))
#: The machine's own login, of which nothing may be asked.
NOT_OURS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


class AwsEbsBed(Bed):
    """One instance with two volumes."""

    NAME = "aws_ebs"
    CANNOT_SHOW = "moto keeps no blocks; what is on a volume is followed by ids alone, and seconds are moto's"
    LAST_CALLS = ("create_snapshots",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ends = contextlib.ExitStack()
        self.on: dict[str, tuple[int, bool]] = {}
        self.environment = {
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "do-not-show-me",
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def lacks(self) -> str | None:
        absent = [name for name in ("moto", "boto3", "flask") if importlib.util.find_spec(name) is None]
        return f"this Python lacks {', '.join(absent)} (tools/make_env.sh)" if absent else None

    def start(self) -> None:
        import boto3  # noqa: PLC0415 - may be lacking
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - likewise

        patch = self.ends.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        for name in NOT_OURS:
            patch.delenv(name, raising=False)
        for name, value in self.environment.items():
            patch.setenv(name, value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        self.ends.callback(server.stop)
        endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
        self.client = boto3.client("ec2", region_name=REGION, endpoint_url=endpoint)
        self.ends.callback(self.client.close)
        image = self.client.register_image(Name="system", RootDeviceName=DISKS[0][0])["ImageId"]
        disks = [
            {"DeviceName": device, "Ebs": {"VolumeSize": size, "VolumeType": "gp3", "DeleteOnTermination": delete}}
            for device, size, delete in DISKS
        ]
        made = self.client.run_instances(ImageId=image, MinCount=1, MaxCount=1, BlockDeviceMappings=disks)
        self.instance = made["Instances"][0]["InstanceId"]
        self.options = {
            "instance_id": self.instance,
            "region": REGION,
            "endpoint_url": endpoint,
            "connect_timeout_s": 5,
            "read_timeout_s": 20,
            "attempts": 1,
            "poll_s": 1,
        }

    def stop(self) -> None:
        self.ends.close()

    def install(self, version: int, works: bool = True) -> None:
        self._follow()
        for volume in self._attached().values():
            self.on[volume["VolumeId"]] = (version, works)

    def health(self) -> str:
        self._follow()
        shown = self.client.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0]
        on = self.state()
        well = shown["State"]["Name"] == "running" and set(on) == {device for device, _size, _delete in DISKS}
        return "ok" if well and all(works for _version, works in on.values()) else f"{shown['State']}, {on}"

    def state(self) -> dict[str, tuple[int, bool]]:
        self._follow()
        return {device: self.on[volume["VolumeId"]] for device, volume in self._attached().items()}

    def everything(self) -> set[str]:
        return {one["SnapshotId"] for one in self._snapshots()}

    def parts(self, point: Point) -> set[str]:
        return {one["id"] for one in point["detail"]["snapshots"]}

    def foreign(self, point: Point) -> str:
        ours = next(one for one in self._snapshots() if one["SnapshotId"] in self.parts(point))
        name = [tag for tag in ours["Tags"] if tag["Key"] == "Name"]
        assert name
        made = self.client.create_snapshot(
            VolumeId=ours["VolumeId"], TagSpecifications=[{"ResourceType": "snapshot", "Tags": name}]
        )
        return str(made["SnapshotId"])

    def _follow(self) -> None:
        """Keep what new snapshots hold, and what is on volumes that were made of snapshots."""
        for one in self._snapshots():
            if one["VolumeId"] in self.on:
                self.on.setdefault(one["SnapshotId"], self.on[one["VolumeId"]])
        for volume in self.client.describe_volumes()["Volumes"]:
            if volume.get("SnapshotId") in self.on:
                self.on.setdefault(volume["VolumeId"], self.on[volume["SnapshotId"]])

    def _attached(self) -> dict[str, dict[str, Any]]:
        filters = [{"Name": "attachment.instance-id", "Values": [self.instance]}]
        found = self.client.describe_volumes(Filters=filters)["Volumes"]
        return {one["Attachments"][0]["Device"]: one for one in found}

    def _snapshots(self) -> list[dict[str, Any]]:
        return list(self.client.describe_snapshots(OwnerIds=["self"])["Snapshots"])
