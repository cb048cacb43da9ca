# SPDX-License-Identifier: GPL-3.0-or-later
"""Paid access to updates, and when it ends. Today is 2026-11-25; openssl made the certificates."""

import base64
import json

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import subscriptions
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.certificate_end import not_after


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("certificate_2026.pem", "2026-12-25T21:21:35+00:00"),
        ("certificate_2081.pem", "2081-08-28T21:21:35+00:00"),
    ],
)
def test_the_end_of_a_certificate(recorded, name, end):
    assert not_after("notes\n" + recorded(name)).isoformat() == end


def test_no_damaged_certificate_gives_anything_but_a_date_or_an_error(recorded):
    text = recorded("certificate_2026.pem")
    der = base64.b64decode("".join(text.splitlines()[1:-1]))
    frame = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
    for place in range(len(der)):
        for damaged in (der[:place], der[:place] + bytes([der[place] ^ 0xFF]) + der[place + 1 :]):
            try:
                assert not_after(frame.format(base64.b64encode(damaged).decode())).tzinfo is not None
            except ValueError:
                continue


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"])
def test_no_certificate_is_told(text):
    with pytest.raises(ValueError, match="certificate"):
        not_after(text)


def test_entitlements(world, recorded):
    world.write("etc/pki/consumer/cert.pem", recorded("certificate_2081.pem"))
    world.write("etc/pki/entitlement/77.pem", recorded("certificate_2026.pem"))
    world.write("etc/pki/entitlement/77-key.pem", "must not be opened")
    found = subscriptions.red_hat(world.look())
    assert [(item["name"], item["effect"]) for item in found] == [
        ("/etc/pki/consumer/cert.pem", "informs"),
        ("/etc/pki/entitlement/77.pem", "informs"),
    ]
    assert found[1]["detail"] == "entitlement, until 2026-12-25 (30 days)"


def test_an_expired_subscription_holds_updates_back(world):
    world.write("usr/bin/SUSEConnect")
    world.answers["/usr/bin/SUSEConnect"] = json.dumps(
        [
            {
                "identifier": "SLES",
                "version": "15.6",
                "arch": "x86_64",
                "status": "Registered",
                "subscription_status": "EXPIRED",
                "expires_at": "2026-10-31 00:00:00 UTC",
            },
            {"identifier": "sle-module-basesystem", "version": "15.6", "arch": "x86_64", "status": "Registered"},
            {"identifier": "sle-ha", "version": "15.6", "arch": "x86_64", "status": "Not Registered"},
        ]
    )
    assert [(item["name"], item["detail"], item["effect"]) for item in subscriptions.suse(world.look())] == [
        ("SLES", "registered, EXPIRED, expired 2026-10-31", "holds_back"),
        ("sle-module-basesystem", "registered, no subscription named", "informs"),
        ("sle-ha", "Not Registered: no updates from SUSE", "holds_back"),
    ]


PRO = {
    "attached": True,
    "expires": "9999-12-31T00:00:00+00:00",
    "services": [
        {"name": "livepatch", "status": "enabled"},
        {"name": "esm-infra", "status": "enabled"},
        {"name": "fips", "status": "n/a"},
    ],
}


@pytest.mark.parametrize(
    ("changes", "detail", "effect"),
    [
        ({"attached": False}, "not attached: no ESM updates", "informs"),
        ({"expires": None}, "attached: esm-infra enabled, livepatch enabled", "informs"),
        (
            {"expires": "2026-11-24T00:00:00+00:00", "services": []},
            "attached: no service, expired 2026-11-24",
            "holds_back",
        ),
    ],
)
def test_ubuntu_pro(world, changes, detail, effect):
    world.write("var/lib/ubuntu-advantage/status.json", json.dumps(dict(PRO, **changes)))
    (found,) = subscriptions.ubuntu_pro(world.look())
    assert (found["detail"], found["effect"]) == (detail, effect)


def test_ubuntu_pro_without_end(world):
    world.write("var/lib/ubuntu-advantage/status.json", json.dumps(PRO))
    (found,) = subscriptions.ubuntu_pro(world.look())
    assert found["effect"] == "informs"
    assert "until 9999-12-31" in found["detail"]
