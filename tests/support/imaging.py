# SPDX-License-Identifier: GPL-3.0-or-later
"""Imaging devices that store images which show nobody, and what both nodes of the archive have of them afterwards.

A device repeats an image with the same SOP Instance UID, so an image whose acknowledgement got lost is there once.
"""

from __future__ import annotations

import io
import json
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import dcmread
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from tests.support.clinical import ATTEMPT_S, NotAnsweredError, Traffic

TITLE = "PACS"
#: The SOP class of C-ECHO.
VERIFICATION = "1.2.840.10008.1.1"
#: Seconds in which a device expects an answer to what it has sent, as most are set and this library is by itself; a
#: connection has to be there as soon as anybody's.
ANSWER_S = 30.0
SUCCESS = 0x0000
#: So many instances are asked for at a time.
PAGE = 500


def _shutdown_socket(self: AssociationSocket) -> None:
    if self.socket is not None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


# The library leaves a socket open whose other end has gone: it is shut down first, which fails then.
AssociationSocket._shutdown_socket = _shutdown_socket  # type: ignore[method-assign]


class Modalities(Traffic):
    """Devices, each storing one image after the other, and asking before each whether the archive is there."""

    def __init__(self, address: str, port: int = 4242, devices: int = 2, per_second: float = 2.0) -> None:
        super().__init__(devices, per_second)
        self.address, self.port = address, port
        self._studies = [generate_uid() for _ in range(devices)]

    def one(self, person: int, number: int) -> None:
        """Ask for the archive and store one image."""
        self.caller.call("echo", self._echo)
        image = synthetic(self._studies[person], f"DEVICE{person}", number)
        if self.caller.call("store", lambda: self._store(image)) is not None:
            self.acknowledged[str(image.SOPInstanceUID)] = digest(image)

    def _echo(self) -> None:
        with self.association() as association:
            expect_success("C-ECHO", association.send_c_echo())

    def _store(self, image: Dataset) -> bool:
        with self.association() as association:
            expect_success("C-STORE", association.send_c_store(image))
        return True

    @contextmanager
    def association(self) -> Iterator[Association]:
        """An association of its own for each attempt, as after a reconnect.

        Raises:
            NotAnsweredError: there is none, or what was to be sent on it was not accepted, or it ended before.
        """
        entity = ApplicationEntity(ae_title="MODALITY")
        entity.acse_timeout = entity.connection_timeout = ATTEMPT_S
        entity.dimse_timeout = entity.network_timeout = ANSWER_S
        entity.add_requested_context(VERIFICATION)
        entity.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
        # The library waits for ever for the rest of a message, where an address has moved in the middle of it.
        limit = (evt.EVT_CONN_OPEN, lambda event: event.assoc.dul.socket.socket.settimeout(ANSWER_S))
        association = entity.associate(self.address, self.port, ae_title=TITLE, evt_handlers=[limit])
        if not association.is_established:
            raise NotAnsweredError("association rejected" if association.is_rejected else "no association")
        try:
            yield association
        except (RuntimeError, ValueError) as error:
            raise NotAnsweredError(str(error)) from error
        finally:
            if association.is_established:
                association.release()


def expect_success(what: str, answer: Dataset) -> None:
    """See that a request was done.

    Raises:
        NotAnsweredError: it was not; an empty answer is a connection that ended, or nothing in time.
    """
    status = answer.get("Status")
    if status != SUCCESS:
        raise NotAnsweredError(f"{what}: " + ("no answer" if status is None else f"status {status:#06x}"))


def synthetic(study: str, device: str, number: int) -> Dataset:
    """An image of noise, 16 by 16, of a patient who is the device itself."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.StudyInstanceUID = image.SeriesInstanceUID = study
    image.PatientName, image.PatientID, image.StudyID = f"TEST^{device}", device, device[-16:]
    image.PatientBirthDate = image.PatientSex = image.StudyDate = image.StudyTime = image.AccessionNumber = ""
    image.Modality, image.ConversionType, image.SeriesNumber, image.InstanceNumber = "OT", "SYN", 1, number
    image.Rows = image.Columns = 16
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelData = os.urandom(256)
    return image


def digest(image: Dataset) -> str:
    """What an image shows, in short."""
    return sha256(image.PixelData).hexdigest()[:16]


def instances(node: str) -> list[tuple[str, str]]:
    """Every instance that a node lists, as often as it lists it: SOP Instance UID and what its file shows.

    Args:
        node: address of its HTTP server, as ``http://pacs1:8042``.
    """
    return [(uid, digest(dcmread(io.BytesIO(_get(f"{node}/instances/{name}/file"))))) for name, uid in listed(node)]


def listed(node: str) -> list[tuple[str, str]]:
    """Every instance in a node's list: the archive's own name of it and its SOP Instance UID."""
    found: list[tuple[str, str]] = []
    while True:
        page: list[Any] = json.loads(_get(f"{node}/instances?expand&since={len(found)}&limit={PAGE}"))
        found += [(one["ID"], one["MainDicomTags"]["SOPInstanceUID"]) for one in page]
        if len(page) < PAGE:
            return found


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())
