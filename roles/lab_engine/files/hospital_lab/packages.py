# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the hospital's own package, ``ehr-portal``, in good versions and in ones that misbehave on purpose."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from hospital_lab.commands import run
from hospital_lab.errors import LabError

NAME = "ehr-portal"
EPOCH_S = 1735689600  # 2025-01-01 for every file: the same files make the same package


class Variant(NamedTuple):
    """How a version differs from a good one."""

    broken: bool = False  # the unit stays active, /health and / fail
    postinst: str = ":"  # what it does when it is configured
    conffile_line: str = ""  # a shipped change to a conffile: a question, where the host changed it too
    control: str = ""  # further control fields; {other} is the package it wants away
    debconf_question: bool = False
    preinst: str = ""
    prerm: str = ""  # before what prerm does anyway
    trigger: str = ""  # what postinst does when the package's own trigger is called, which postinst does itself
    file: tuple[str, int] = ("", 0)  # one more file, and its size in bytes
    conffile_is_directory: bool = False


VARIANTS = {
    "good": Variant(),
    "unhealthy": Variant(broken=True),
    "reboot": Variant(postinst="touch /run/reboot-required; echo ehr-portal >> /run/reboot-required.pkgs"),
    "failing_postinst": Variant(postinst="echo 'schema migration failed' >&2; exit 1"),
    # until a test lets it finish, or for two minutes
    "waiting_postinst": Variant(postinst="timeout 120 sh -c 'until test -e /run/may-finish; do sleep 0.1; done'"),
    "hanging_postinst": Variant(postinst="sleep 86400"),
    "conffile": Variant(conffile_line="greeting = shipped by the vendor\n"),
    "debconf": Variant(debconf_question=True, control="Depends: python3, debconf, init-system-helpers\n"),
    "removes_another": Variant(control="Conflicts: nginx-light\n"),
    "removes_essential": Variant(control="Conflicts: hostname\n"),
    "unmet_dependency": Variant(control="Depends: python3, init-system-helpers, ehr-viewer (>= 2)\n"),
    "failing_preinst": Variant(preinst="echo 'not on this hardware' >&2; exit 1"),
    "failing_prerm": Variant(prerm="echo 'still in use' >&2; exit 1"),
    "failing_trigger": Variant(trigger="echo 'index is damaged' >&2; exit 1"),
    "file_of_another": Variant(file=("usr/sbin/nginx", 64)),
    "large": Variant(file=(f"usr/lib/{NAME}/index", 8 << 20)),
    "conffile_directory": Variant(conffile_is_directory=True),
    # past policy-rc.d, which deb-systemd-invoke would have asked
    "starting_postinst": Variant(postinst="systemctl start ehr-extra.service"),
    # dpkg, apt-get and whoever started them in the same process group
    "killing_postinst": Variant(postinst="kill -KILL 0"),
    # the module itself as well
    "killing_work": Variant(postinst="systemctl kill --signal=KILL hospital-patching-work.scope; sleep 60"),
    # as packages do that register their program anew: what a person had chosen is forgotten
    "alternative": Variant(
        postinst=f"update-alternatives --remove ehr-viewer /usr/lib/{NAME}/portal.py;"
        f" update-alternatives --install /usr/bin/ehr-viewer ehr-viewer /usr/lib/{NAME}/portal.py 10"
    ),
}


class PortalVersion(NamedTuple):
    """One version of the portal, as a test asks for it."""

    version: str
    variant: str = "good"


def build(source: Path, target: Path, wanted: PortalVersion) -> Path:
    """Build one version into a folder and return the package's path.

    Args:
        source: the package's files, with @NAME@ marks for what varies.

    Raises:
        LabError: there is no such variant.
    """
    if wanted.variant not in VARIANTS:
        raise LabError(f"{wanted.variant} is no variant of {NAME}; there are: {', '.join(VARIANTS)}")
    variant = VARIANTS[wanted.variant]
    target.mkdir(parents=True, exist_ok=True)
    package = target / f"{NAME}_{wanted.version}_all.deb"
    with tempfile.TemporaryDirectory() as work:
        root = Path(work, "root")
        _fill(root, source, wanted.version, variant)
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.suffix == ".py" or path.name in _SCRIPTS else 0o644)
            os.utime(path, (EPOCH_S, EPOCH_S))
        built = Path(work, package.name)
        args: list[str | Path] = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, built]
        run(args, env={"SOURCE_DATE_EPOCH": str(EPOCH_S)})
        shutil.move(built, package)
    return package


_SCRIPTS = ("preinst", "postinst", "prerm", "config")


def _fill(root: Path, source: Path, version: str, variant: Variant) -> None:
    marks = {"@VERSION@": version, "@BROKEN@": str(variant.broken), "@POSTINST@": variant.postinst}
    documentation = root / "usr/share/doc" / NAME
    for name, target in (
        ("portal.py", root / "usr/lib" / NAME),
        ("portal.ini", root / "etc" / NAME),
        ("ehr-portal.service", root / "lib/systemd/system"),
        ("metadata.json", root / "usr/share" / NAME),
        ("postinst", root / "DEBIAN"),
        ("prerm", root / "DEBIAN"),
    ):
        target.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(_replace(source / name, marks))
    _add_settings(root, variant)
    _add_scripts(root / "DEBIAN", variant)
    if variant.file[0]:
        extra = root / variant.file[0]
        extra.parent.mkdir(parents=True, exist_ok=True)
        extra.write_bytes(bytes(variant.file[1]))
    (root / "DEBIAN/control").write_text(_control(version, variant))
    if variant.debconf_question:
        _add_question(root / "DEBIAN")
    documentation.mkdir(parents=True)
    (documentation / "changelog").write_text(_replace(source / "changelog", marks))
    run(["gzip", "--no-name", "-9", documentation / "changelog"])


def _add_settings(root: Path, variant: Variant) -> None:
    settings = root / "etc" / NAME / "portal.ini"
    text = settings.read_text() + variant.conffile_line
    if variant.conffile_is_directory:
        settings.unlink()
        settings.mkdir()
        settings /= "settings.ini"
    settings.write_text(text)
    (root / "DEBIAN/conffiles").write_text(f"/{settings.relative_to(root)}\n")


def _add_scripts(control: Path, variant: Variant) -> None:
    start = "#!/bin/sh\nset -e\n"
    if variant.preinst:
        (control / "preinst").write_text(f"{start}{variant.preinst}\n")
    if variant.prerm:
        prerm = control / "prerm"
        prerm.write_text(prerm.read_text().replace(start, f"{start}{variant.prerm}\n", 1))
    if variant.trigger:
        (control / "triggers").write_text(f"interest {NAME}-changed\n")
        postinst = control / "postinst"
        called = f'if [ "$1" = triggered ]; then\n  {variant.trigger}\nfi\ndpkg-trigger {NAME}-changed\n'
        postinst.write_text(postinst.read_text().replace(start, start + called, 1))


def _replace(path: Path, marks: dict[str, str]) -> str:
    text = path.read_text()
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def _control(version: str, variant: Variant) -> str:
    depends = "" if variant.control.startswith("Depends:") else "Depends: python3, init-system-helpers\n"
    return (
        f"Package: {NAME}\nVersion: {version}\nArchitecture: all\nSection: misc\nPriority: optional\n"
        f"Maintainer: The hospital.patching engineers <packages@hospital.example>\n{depends}{variant.control}"
        "Description: clinical portal of the demonstration hospital\n"
    )


def _add_question(control: Path) -> None:
    (control / "templates").write_text(
        f"Template: {NAME}/reindex\nType: boolean\nDefault: false\n"
        "Description: Rebuild the search index now?\n This takes hours.\n"
    )
    confmodule = "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\n"
    (control / "config").write_text(f"{confmodule}db_input critical {NAME}/reindex || true\ndb_go\n")
    postinst = control / "postinst"
    postinst.write_text(postinst.read_text().replace("#!/bin/sh\nset -e\n", confmodule, 1))
