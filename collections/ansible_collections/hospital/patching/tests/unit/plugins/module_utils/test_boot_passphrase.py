# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that waits for a passphrase at its start is known by its crypttab."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import boot_passphrase

#: As the installers of Debian 12 and RHEL 9 write them.
DEBIAN = "nvme0n1p3_crypt UUID=1f0c2f4e-1111-4222-8333-444455556666 none luks,discard\n"
RED_HAT = "luks-9b1e UUID=9b1e0000-1111-4222-8333-444455556666 none discard\n"


@pytest.mark.parametrize(
    ("text", "waiting"),
    [
        (DEBIAN, ["nvme0n1p3_crypt"]),
        (RED_HAT, ["luks-9b1e"]),
        ("data /dev/sdb1\n", ["data"]),
        ("# <target name> <source device> <key file> <options>\n", []),
        ("data UUID=1 /etc/keys/data luks\n", []),
        ("swap /dev/sda3 /dev/urandom swap,cipher=aes-xts-plain64\n", []),
        ("root UUID=1 none luks,tpm2-device=auto\n", []),
        ("root UUID=1 none luks,keyscript=/lib/cryptsetup/scripts/decrypt_derived\n", []),
        ("root UUID=1 /dev/disk/by-label/KEY:/root.key luks,keyscript=/lib/cryptsetup/scripts/passdev\n", []),
        ("root UUID=1 none luks,keyscript=passdev\n", []),
        ("root UUID=1 none luks,keyscript=/usr/local/sbin/tpm2-unseal\n", []),
        ("root UUID=1 shared luks,discard,keyscript=decrypt_keyctl\n", ["root"]),
        ("root UUID=1 Passphrase: luks,keyscript=/lib/cryptsetup/askpass\n", ["root"]),
        ("root UUID=1 /etc/keys/root.gpg luks,keyscript=decrypt_gnupg\n", ["root"]),
        ("root UUID=1 none luks,keyscript=decrypt_opensc\n", ["root"]),
        ("root UUID=1 none luks,keyscript=/usr/local/sbin/ours\n", ["root"]),
        ("data UUID=1 none luks,keyscript=decrypt_keyctl,nofail\n", []),
        ("root UUID=1 none luks,pkcs11-uri=auto\n", ["root"]),
        ("root UUID=1 /etc/keys/root luks,pkcs11-uri=pkcs11:token=x\n", ["root"]),
        ("root UUID=1 /etc/keys/root luks,fido2-device=auto\n", ["root"]),
        ("usb UUID=1 none luks,noauto\n", []),
        (DEBIAN + "usb UUID=1 none luks,nofail\n", ["nvme0n1p3_crypt"]),
        # Somebody has to touch the key.
        ("root UUID=1 none luks,fido2-device=auto\n", ["root"]),
    ],
)
def test_disks_that_somebody_has_to_unlock(text, waiting):
    assert boot_passphrase.disks(text) == waiting


def test_the_reason(tmp_path):
    assert boot_passphrase.reason(str(tmp_path)) is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/crypttab").write_text(DEBIAN)
    assert boot_passphrase.reason(str(tmp_path)) == "it will wait for the passphrase of nvme0n1p3_crypt"
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.containerenv").write_text("")
    assert boot_passphrase.reason(str(tmp_path)) is None


def test_a_table_that_cannot_be_read_needs_a_person(tmp_path):
    (tmp_path / "etc/crypttab").mkdir(parents=True)
    assert "cannot be read" in boot_passphrase.reason(str(tmp_path))
