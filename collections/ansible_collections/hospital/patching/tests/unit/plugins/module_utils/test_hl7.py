# SPDX-License-Identifier: GPL-3.0-or-later
"""HL7 messages: which may be sent as a test, how one is made new, and what acknowledges it."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import hl7

GOOD = "MSH|^~\\&|PATCHING|IT|ENGINE|LAB|||NMD^N02||T|2.5.1\nNCK|20261122070000"


@pytest.mark.parametrize("processing", ["T", "D", "N", "T^T", "t"])
def test_a_message_for_testing_without_a_patient_may_be_sent(processing):
    assert hl7.problem(GOOD.replace("|T|", "|" + processing + "|")) is None


@pytest.mark.parametrize("processing", ["P", "p", "P^T", "", "X"])
def test_production_is_refused(processing):
    assert "MSH-11" in hl7.problem(GOOD.replace("|T|", "|" + processing + "|"))


@pytest.mark.parametrize("name", ["PID", "PV1", "NK1", "MRG", "QPD", "IN1"])
@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_a_segment_that_names_a_person_is_refused(name, ending):
    assert name in hl7.problem(GOOD + ending + name + "|1||4711^^^HOSP")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello",
        "MSH",
        "PID|1",
        "FHS|^~\\&|A\n" + GOOD,
        GOOD + "\n" + GOOD,
        GOOD + "\x1c\r\x0b" + GOOD,
        GOOD + "\n pid|1||4711",
        GOOD + "\nDoe^Jane",
        GOOD.replace("NMD^N02", ""),
        GOOD.replace("|NMD^N02||", "|NMD^N02|" + "1" * 200 + "|"),
    ],
)
def test_what_is_not_one_plain_message_is_refused(message):
    assert hl7.problem(message)


def test_time_and_control_id_are_filled_in():
    text, control_id = hl7.outgoing(GOOD, "20261122070000+0000", "HP1")
    assert control_id == "HP1"
    header, second, last = text.split("\r")
    assert header == "MSH|^~\\&|PATCHING|IT|ENGINE|LAB|20261122070000+0000||NMD^N02|HP1|T|2.5.1"
    assert (second, last) == ("NCK|20261122070000", "")


def test_an_agreed_control_id_is_kept_and_a_placeholder_filled():
    assert hl7.outgoing(GOOD.replace("N02||", "N02|AGREED|"), "1", "HP1").control_id == "AGREED"
    assert hl7.outgoing(GOOD.replace("N02||", "N02|{control_id}|"), "1", "HP1").control_id == "HP1"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # As HAPI and Mirth Connect answer.
        ("MSH|^~\\&|ENGINE|LAB|PATCHING|IT|20261122||ACK^N02|9|T|2.5.1\rMSA|AA|HP1\r", ("AA", "HP1")),
        ("MSH|^~\\&|A|B|C|D|20261122||ACK|9|T|2.3\rMSA|AE|HP1|no such code\rERR|x\r", ("AE", "HP1")),
        ("MSH#^~\\&#A\rMSA#CA#HP1", ("CA", "HP1")),
        ("MSH|^~\\&|A\rMSA", ("", "")),
        ("MSH|^~\\&|A\rPID|1", None),
        ("<html>", None),
        ("", None),
    ],
)
def test_an_acknowledgement_is_read(answer, expected):
    assert hl7.acknowledgement(answer) == expected
