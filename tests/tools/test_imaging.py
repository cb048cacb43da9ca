# SPDX-License-Identifier: GPL-3.0-or-later
"""Imaging devices and readers of FHIR count what went wrong, and nothing else."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from tests.support import imaging
from tests.support.clinical import account
from tests.support.fhir import PATIENTS, Readers
from tests.support.imaging import Modalities, digest, instances, synthetic

# The library leaves a connection that the other side has closed first to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
OUT_OF_RESOURCES = 0xA700


class Archive:
    """Keeps images as they come; what it answers to the next stores can be told it."""

    def __init__(self, *answers: int) -> None:
        self.answers, self.kept = list(answers), []

    def store(self, event: Any) -> int:
        image = event.dataset
        self.kept.append((str(image.SOPInstanceUID), digest(image)))
        return self.answers.pop(0) if self.answers else imaging.SUCCESS


@contextmanager
def archive(*answers: int, title: str = imaging.TITLE) -> Iterator[tuple[Archive, int]]:
    """A real DICOM server on loopback."""
    kept = Archive(*answers)
    entity = AE(ae_title=title)
    entity.require_called_aet = True
    entity.add_supported_context(Verification)
    entity.add_supported_context(SecondaryCaptureImageStorage)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, kept.store)])
    try:
        yield kept, server.socket.getsockname()[1]
    finally:
        server.shutdown()


@pytest.fixture(autouse=True)
def soon(monkeypatch) -> None:
    """Nobody waits three seconds here."""
    monkeypatch.setattr("tests.support.clinical.RECONNECT_S", 0.01)


def sent(port: int, images: int) -> Modalities:
    """One device that has sent so many images, stored or not."""
    devices = Modalities("127.0.0.1", port, devices=1)
    for number in range(images):
        devices.one(0, number)
    return devices


def test_devices_that_are_served_have_nothing_to_complain_about():
    with archive() as (kept, port):
        devices = sent(port, 3)
    assert devices.failed == []
    assert {kind: tally.sent for kind, tally in devices.caller.tallies.items()} == {"echo": 3, "store": 3}
    assert account(devices.acknowledged, kept.kept) == (set(), set(), set())
    assert len(devices.acknowledged) == 3


def test_an_image_is_sent_again_with_the_same_uid_and_is_no_failure():
    with archive(OUT_OF_RESOURCES) as (kept, port):
        devices = sent(port, 2)
    assert devices.failed == []
    assert devices.caller.tallies["store"].reconnected == 1
    assert kept.kept[0] == kept.kept[1] != kept.kept[2]
    # an archive that kept the first attempt as well is found out
    assert account(devices.acknowledged, kept.kept).doubled == {kept.kept[0][0]}


def test_two_attempts_that_are_not_stored_are_a_failure_and_nothing_is_promised():
    with archive(OUT_OF_RESOURCES, OUT_OF_RESOURCES) as (_kept, port):
        devices = sent(port, 1)
    assert devices.failed == ["store: C-STORE: status 0xa700; after the reconnect: C-STORE: status 0xa700"]
    assert devices.acknowledged == {}


def test_an_archive_that_rejects_or_is_absent_fails_both_questions():
    with archive(title="ANOTHER") as (_kept, port):
        devices = sent(port, 1)
    rejected = "association rejected; after the reconnect: association rejected"
    assert devices.failed == [f"echo: {rejected}", f"store: {rejected}"]
    assert sent(port, 1).failed == [
        f"{kind}: no association; after the reconnect: no association" for kind in ("echo", "store")
    ]


def test_an_association_that_ends_before_anything_is_sent_is_no_answer():
    """The library calls that a RuntimeError, which would end a device for good."""
    with archive() as (_kept, port):
        devices = Modalities("127.0.0.1", port)

        def send() -> None:
            with devices.association() as association:
                association.abort()
                association.send_c_echo()

        with pytest.raises(imaging.NotAnsweredError, match="must be established"):
            send()


def test_an_answer_without_a_status_is_none():
    with pytest.raises(imaging.NotAnsweredError, match="C-ECHO: no answer"):
        imaging.expect_success("C-ECHO", Dataset())


def test_an_image_is_a_whole_file_of_nobody():
    image = synthetic("1.2.3", "DEVICE0", 1)
    read = dcmread(io.BytesIO(as_file(image)))
    assert digest(read) == digest(image)
    assert (str(read.PatientName), read.PatientBirthDate) == ("TEST^DEVICE0", "")
    assert digest(synthetic("1.2.3", "DEVICE0", 1)) != digest(image)


def as_file(image: Dataset) -> bytes:
    content = io.BytesIO()
    image.save_as(content, enforce_file_format=True)
    return content.getvalue()


class Page(BaseHTTPRequestHandler):
    """Answers what its server holds by path, with the status beside it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = self.server.page(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def pages(page: Any) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.page = page
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_a_node_has_is_read_page_by_page_and_from_the_files_themselves(monkeypatch):
    monkeypatch.setattr(imaging, "PAGE", 2)
    images = [synthetic("1.2.3", "DEVICE0", number) for number in range(5)]
    uids = [str(image.SOPInstanceUID) for image in images]

    def page(path: str) -> tuple[int, bytes]:
        if path.endswith("/file"):
            return 200, as_file(images[int(path.split("/")[2])])
        since = int(path.split("since=")[1].split("&", maxsplit=1)[0])
        found = [{"ID": str(n), "MainDicomTags": {"SOPInstanceUID": uids[n]}} for n in range(5)[since : since + 2]]
        return 200, json.dumps(found).encode()

    with pages(page) as server:
        rows = instances(f"http://127.0.0.1:{server.server_address[1]}")
    assert rows == [(uid, digest(image)) for uid, image in zip(uids, images, strict=True)]


STATEMENT = {"resourceType": "CapabilityStatement"}


def readers_of(page: Any, reads: int = 4) -> Readers:
    with pages(lambda path: (page(path)[0], json.dumps(page(path)[1]).encode())) as server:
        with Readers(*server.server_address, systems=1, per_second=1000) as readers:
            deadline = time.monotonic() + 20
            while sum(tally.sent for tally in readers.caller.tallies.values()) < reads:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    return readers


def patient(path: str, resource: str = "Patient") -> dict[str, str]:
    return {"resourceType": resource, "id": path.rpartition("/")[2]}


def test_readers_who_get_whom_they_ask_for_have_nothing_to_complain_about():
    readers = readers_of(lambda path: (200, STATEMENT if path == "/fhir/metadata" else patient(path)))
    assert (readers.failed, readers.misread) == ([], [])
    assert readers.progress() >= 4
    readers.goes_on(0)


def test_another_patient_and_another_statement_are_misread():
    readers = readers_of(lambda _path: (200, {"resourceType": "Patient", "id": "p0"}))
    assert readers.failed == []
    assert readers.misread[0] == "metadata: {'resourceType': 'Patient', 'id': 'p0'}"
    assert readers.misread[1].startswith("p2: ")


def test_a_database_that_is_away_is_a_failure_and_no_progress():
    readers = readers_of(lambda _path: (503, {"resourceType": "OperationOutcome"}))
    assert readers.failed[0].startswith("metadata: metadata: 503 ")
    assert readers.progress() == 0


def test_every_patient_is_one_that_the_database_has():
    asked = set()

    def page(path: str) -> tuple[int, dict[str, str]]:
        asked.add(path)
        return 200, STATEMENT if path == "/fhir/metadata" else patient(path)

    with pages(lambda path: (page(path)[0], json.dumps(page(path)[1]).encode())) as server:
        readers = Readers(*server.server_address)
        for number in (1, PATIENTS - 1, PATIENTS, PATIENTS + 1):
            readers.one(0, number)
    assert asked == {"/fhir/metadata", *(f"/fhir/Patient/p{n}" for n in (1, 2, PATIENTS))}
