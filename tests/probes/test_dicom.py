# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``dicom`` against the archives of DCMTK and Orthanc."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import servers

pynetdicom = pytest.importorskip("pynetdicom", reason="the Python library pynetdicom is not here")

# The library leaves a connection that the other side has closed first to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PACKAGES = {"dcmqrscp": "dcmtk", "Orthanc": "orthanc"}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class Archive(NamedTuple):
    """A running archive."""

    process: subprocess.Popen[bytes]
    port: int

    def definition(self, **options: Any) -> dict[str, Any]:
        wanted = {"type": "dicom", "host": "127.0.0.1", "port": self.port, "called_ae_title": "ARCHIVE"}
        return {**wanted, **options}


def dcmqrscp(folder: Path, port: int) -> list[str]:
    (folder / "images").mkdir()
    table = f"AETable BEGIN\nARCHIVE {folder}/images RW (10, 64mb) ANY\nAETable END\n"
    lists = "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
    config = folder / "dcmqrscp.cfg"
    config.write_text(f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n{lists}{table}")
    return ["-c", str(config)]


def orthanc(folder: Path, port: int, http_port: int) -> list[str]:
    config = folder / "orthanc.json"
    settings = {"DicomAet": "ARCHIVE", "DicomPort": port, "HttpPort": http_port, "DicomCheckCalledAet": True}
    allowed = {"DicomAlwaysAllowEcho": True, "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True}
    stored = {"StorageDirectory": str(folder / "images"), "IndexDirectory": str(folder / "images"), "Plugins": []}
    config.write_text(json.dumps({**settings, **allowed, **stored}))
    return [str(config)]


@pytest.fixture(scope="module", params=["dcmqrscp", "Orthanc"])
def archive(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    daemon: Callable[..., subprocess.Popen[bytes]],
    free_port: Callable[[], int],
) -> Archive:
    """Start an archive that holds two studies of today."""
    program = servers.program(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not here (Debian: {PACKAGES[request.param]})")
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    words = dcmqrscp(folder, port) if request.param == "dcmqrscp" else orthanc(folder, port, free_port())
    running = Archive(daemon([program, *words], port, folder / "log"), port)
    for number in range(2):
        store(port, study(number))
    return running


def study(number: int) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset  # noqa: PLC0415 - only there where pynetdicom is

    image = Dataset()
    image.PatientName, image.PatientID = "Geheim^Anna", "4711"
    image.StudyDate = f"{datetime.datetime.now(datetime.UTC):%Y%m%d}"
    image.StudyInstanceUID, image.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
    image.SOPInstanceUID, image.SOPClassUID = f"1.2.3.{number}.1.1", SECONDARY_CAPTURE
    image.StudyID, image.AccessionNumber, image.StudyTime = str(number), str(number), "120000"
    image.SeriesNumber, image.InstanceNumber, image.Modality = 1, 1, "OT"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    image.file_meta.MediaStorageSOPClassUID, image.file_meta.MediaStorageSOPInstanceUID = (
        SECONDARY_CAPTURE,
        image.SOPInstanceUID,
    )
    return image


def store(port: int, image: Any) -> None:
    entity = pynetdicom.AE(ae_title="MODALITY")
    entity.add_requested_context(SECONDARY_CAPTURE, "1.2.840.10008.1.2")
    association = entity.associate("127.0.0.1", port, ae_title="ARCHIVE")
    assert association.is_established
    assert association.send_c_store(image).Status == 0
    association.release()


def test_a_healthy_archive_is_ok(archive, read):
    result = read(**archive.definition())
    assert result["verdict"] == "ok", result["detail"]


def test_its_studies_are_counted_and_nobody_is_named(archive, read):
    result = read(**archive.definition(studies_at_least=2))
    assert (result["verdict"], result["value"]["studies"]) == ("ok", 2), result["detail"]
    few = read(**archive.definition(studies_at_least=3))
    assert (few["verdict"], few["value"]["studies"]) == ("failed", 2)
    assert "Geheim" not in json.dumps([result, few])


def test_an_archive_of_another_title_is_failed(archive, read):
    result = read(**archive.definition(called_ae_title="ANOTHER"))
    assert result["verdict"] == "failed"
    assert "rejected: Called AE title not recognised" in result["detail"]


def test_an_archive_that_does_not_answer_is_inconclusive(archive, read, stopped):
    with stopped(archive.process):
        assert read(**archive.definition(timeout_s=1))["verdict"] == "inconclusive"
    assert read(**archive.definition())["verdict"] == "ok"


def test_an_archive_that_is_absent_is_failed(archive, read, free_port):
    assert read(**archive.definition(port=free_port()))["verdict"] == "failed"
