# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's keys: SSH, TLS and package signing. Made once, kept in the lab's folder."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hospital_lab.commands import run
from hospital_lab.places import Places

DAYS = "3650"
USER = "Demonstration hospital packages <packages@hospital.example>"


def prepare(places: Places) -> bool:
    """Make what all hosts share; whether anything was made."""
    changed = False
    places.ssh.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not places.private_key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hospital-lab", "-f", places.private_key])
        changed = True
    if not places.ca_certificate.exists():
        _make_authority(places)
        changed = True
    if not places.signing_certificate.exists():
        _make_signing_key(places)
        changed = True
    return changed


def prepare_host(places: Places, host: str, address: str) -> bool:
    """Make a host's own SSH and TLS keys; whether anything was made.

    They are made here and not in the host, so that its host key is known before
    the first connection and stays the same when the host is reset.
    """
    folder = places.identity(host)
    folder.mkdir(parents=True, exist_ok=True)
    changed = False
    host_key = folder / "ssh_host_ed25519_key"
    if not host_key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host, "-f", host_key])
        changed = True
    if not (folder / "tls.pem").exists():
        _make_certificate(places, folder, host, address)
        changed = True
    shutil.copyfile(places.private_key.with_suffix(".pub"), folder / "authorized_keys")
    shutil.copyfile(places.ca_certificate, folder / "ca.pem")
    return changed


def write_known_hosts(places: Places, addresses: dict[str, str]) -> None:
    """List the host key of every lab host under its name and its address."""
    lines = []
    for host, address in sorted(addresses.items()):
        public = places.identity(host) / "ssh_host_ed25519_key.pub"
        if public.exists():
            kind, key = public.read_text().split()[:2]
            lines.append(f"{host},{address} {kind} {key}\n")
    places.known_hosts.write_text("".join(lines))


def _make_authority(places: Places) -> None:
    for old in places.hosts.glob("*/identity/tls.pem"):
        old.unlink()
    run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", DAYS, "-subj", "/O=Demonstration hospital/CN=Lab CA"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-keyout", places.ca_key, "-out", places.ca_certificate),
        ]
    )


def _make_certificate(places: Places, folder: Path, host: str, address: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        request, extensions = Path(work, "request.pem"), Path(work, "extensions")
        extensions.write_text(
            f"subjectAltName=DNS:{host},IP:{address}\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n"
            "basicConstraints=critical,CA:false\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        run(
            [
                *("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-subj", f"/CN={host}", "-keyout", folder / "tls.key", "-out", request),
            ]
        )
        run(
            [
                *("openssl", "x509", "-req", "-in", request, "-CA", places.ca_certificate, "-CAkey", places.ca_key),
                *("-CAcreateserial", "-CAserial", Path(work, "serial"), "-days", DAYS),
                *("-extfile", extensions, "-out", folder / "tls.pem"),
            ]
        )


def _make_signing_key(places: Places) -> None:
    with GnupgHome() as home:
        home.gpg("--passphrase", "", "--quick-generate-key", USER, "rsa3072", "sign", "never")
        places.signing_key.touch(mode=0o600)
        home.gpg("--yes", "--output", str(places.signing_key), "--export-secret-keys")
        places.signing_key.chmod(0o600)
        home.gpg("--yes", "--output", str(places.signing_certificate), "--export")


def sign(places: Places, release: Path) -> None:
    """Write InRelease and Release.gpg beside a Release file."""
    with GnupgHome() as home:
        home.gpg("--import", str(places.signing_key))
        _sign(home, release)


def sign_as_a_stranger(release: Path) -> None:
    """Write the same with a key that nobody knows."""
    with GnupgHome() as home:
        home.gpg("--passphrase", "", "--quick-generate-key", "A stranger", "ed25519", "sign", "never")
        _sign(home, release)


def _sign(home: "GnupgHome", release: Path) -> None:
    inline, detached = release.with_name("InRelease"), release.with_name("Release.gpg")
    for output, kind in ((inline, "--clearsign"), (detached, "--detach-sign")):
        home.gpg("--yes", "--digest-algo", "SHA512", "--armor", "--output", str(output), kind, str(release))


def sign_detached(places: Places, path: Path) -> None:
    """Write an armoured signature beside a file, as rpm repositories have it: repomd.xml.asc."""
    with GnupgHome() as home:
        home.gpg("--import", str(places.signing_key))
        output = path.with_name(path.name + ".asc")
        home.gpg("--yes", "--digest-algo", "SHA512", "--armor", "--output", str(output), "--detach-sign", str(path))


def sign_rpms(places: Places, packages: Iterable[Path]) -> None:
    """Sign package files in place."""
    with GnupgHome() as home:
        home.gpg("--import", str(places.signing_key))
        # rpm starts gpg without looking at PATH.
        macros = {"__gpg": shutil.which("gpg") or "/usr/bin/gpg", "_gpg_path": home.folder, "_gpg_name": USER}
        defines = [word for item in macros.items() for word in ("--define", " ".join(item))]
        run(["rpmsign", *defines, "--addsign", *packages])


def write_public(places: Places, target: Path) -> None:
    """Write the armoured public key, the only form that rpm imports."""
    with GnupgHome() as home:
        home.gpg("--import", str(places.signing_key))
        home.gpg("--yes", "--armor", "--output", str(target), "--export")


class GnupgHome:
    """A key ring for one use: its agent dies with it, and its socket's path is always short enough."""

    def __enter__(self) -> "GnupgHome":
        self.folder = tempfile.mkdtemp(prefix="hplab-")
        return self

    def gpg(self, *args: str) -> None:
        """Run gpg on this key ring."""
        run(["gpg", "--homedir", self.folder, "--batch", "--quiet", "--pinentry-mode", "loopback", *args])

    def __exit__(self, *_: object) -> None:
        run(["gpgconf", "--homedir", self.folder, "--kill", "all"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
