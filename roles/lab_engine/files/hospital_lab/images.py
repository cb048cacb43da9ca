# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, named after a digest of all that went into them: the same files never build twice."""

import fcntl
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from hospital_lab import machine
from hospital_lab.commands import run
from hospital_lab.engine import Engine

RELEASE = "bookworm"
#: A minute is usual; beside other work of the same machine it has taken more than a quarter of an hour.
BUSY_MACHINE_S = 3600
BASE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "sudo"),
    *("ca-certificates", "iproute2", "procps"),
)
BASE_HOOKS = (
    'chroot "$1" useradd --create-home --shell /bin/bash patch',
    'chmod 0440 "$1/etc/sudoers.d/patch"',
    'rm -f "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/0000main.list',
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/archives/*.deb',
    'chroot "$1" apt-get update --quiet --error-on=any',
)
BASE_SETTINGS = ('CMD ["/sbin/init"]', "STOPSIGNAL SIGRTMIN+3")


def digest(folder: Path, *words: str) -> str:
    """A digest of a folder's names, executable bits and contents, and of further words."""
    total = hashlib.sha256()
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        kind = "x" if _is_executable(path) else "-"
        total.update(f"{path.relative_to(folder)} {kind} {path.stat().st_size}\n".encode())
        total.update(path.read_bytes())
    for word in words:
        total.update(b"\0" + word.encode())
    return total.hexdigest()[:16]


def build_base(engine: Engine, rootfs: Path) -> tuple[str, bool]:
    """Build the image all hosts start from.

    It is made of Debian's main archive alone; the security archive is added
    afterwards, so that real security updates are pending.

    Args:
        rootfs: files that every host has.

    Returns:
        The image's name and whether it was built now.
    """
    mirror = machine.choose_mirror(machine.apt_sources(), machine.codename())
    files = _base_files(mirror, machine.apt_options())
    recipe = (RELEASE, *BASE_PACKAGES, *BASE_HOOKS, *BASE_SETTINGS, *(word for item in files.items() for word in item))
    image = f"localhost/hplab/base:{digest(rootfs, *recipe)}"
    with _building(engine, "base"):
        if engine.image_exists(image):
            return image, False
        with tempfile.TemporaryDirectory(dir=engine.places.lab_dir) as work:
            tree, archive = Path(work, "files.tar"), Path(work, "base.tar")
            _write_tar(tree, rootfs, files)
            run(
                [
                    *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}"),
                    *("--skip=cleanup/apt", '--aptopt=Acquire::Languages "none"'),
                    f"--customize-hook=tar-in {tree} /",
                    *(f"--customize-hook={hook}" for hook in BASE_HOOKS),
                    *(RELEASE, archive, f"deb {mirror.main} {RELEASE} main"),
                ],
                env={"DPKG_FORCE": "unsafe-io"},
                timeout_s=BUSY_MACHINE_S,
            )
            changes = [word for line in BASE_SETTINGS for word in ("--change", line)]
            engine.podman("import", "--quiet", *changes, archive, image)
        _remove_others(engine, image)
    return image, True


def build_application(
    engine: Engine, name: str, context: Path, extra: Mapping[str, Path] | None = None
) -> tuple[str, bool]:
    """Build one application's image on the base image.

    Args:
        context: a folder with a Containerfile and what it copies.
        extra: further files for the context: name there, path here.

    Returns:
        The image's name and whether it was built now.
    """
    base = current(engine, "base")
    with _building(engine, name):
        stage = engine.places.build / name
        shutil.rmtree(stage, ignore_errors=True)
        shutil.copytree(context, stage)
        for target, source in (extra or {}).items():
            shutil.copyfile(source, stage / target)
        for path in stage.rglob("*"):  # whatever umask the clone was made with
            path.chmod(0o755 if path.is_dir() or _is_executable(path) else 0o644)
        image = f"localhost/hplab/{name}:{digest(stage, base)}"
        if engine.image_exists(image):
            return image, False
        engine.podman(
            *("build", "--quiet", "--isolation", "chroot", "--layers=false", "--pull=never"),
            *("--from", base, "--tag", image, stage),
            timeout_s=BUSY_MACHINE_S,
        )
        _remove_others(engine, image)
    return image, True


def current(engine: Engine, name: str) -> str:
    """The one image of this name; those of an older digest are removed after each build."""
    return _images(engine, name)[0]


def _images(engine: Engine, name: str) -> list[str]:
    return engine.read("images", "--format", "{{.Repository}}:{{.Tag}}", f"localhost/hplab/{name}").split()


def _remove_others(engine: Engine, image: str) -> None:
    name = image.rsplit(":", 1)[0].rsplit("/", 1)[1]
    for other in _images(engine, name):
        if other != image:  # one still in use keeps its layers until its hosts are started anew
            engine.podman("rmi", "--force=false", other, check=False)
            engine.podman("untag", other, check=False)


@contextmanager
def _building(engine: Engine, name: str) -> Iterator[None]:
    """Two hosts of one kind may ask for their image at the same moment: one builds, the other finds it."""
    engine.places.build.mkdir(parents=True, exist_ok=True)
    with (engine.places.build / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _base_files(mirror: machine.Mirror, apt_options: str) -> dict[str, str]:
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: " + keyring + "\n"
    files = {
        "etc/apt/sources.list.d/debian.sources": stanza.format(mirror.main, RELEASE),
        "etc/apt/sources.list.d/debian-security.sources": stanza.format(mirror.security, f"{RELEASE}-security"),
    }
    if apt_options:
        files["etc/apt/apt.conf.d/00mirror"] = "// as on the machine this lab runs on\n" + apt_options
    return files


def _write_tar(target: Path, rootfs: Path, files: Mapping[str, str]) -> None:
    """Pack files as root's, whoever owns the clone."""
    with tarfile.open(target, "w") as tar:
        for path in sorted(item for item in rootfs.rglob("*") if item.is_file()):
            _add(tar, str(path.relative_to(rootfs)), path.read_bytes(), 0o755 if _is_executable(path) else 0o644)
        for name, text in files.items():
            _add(tar, name, text.encode(), 0o644)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo("./" + name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, BytesIO(content))
