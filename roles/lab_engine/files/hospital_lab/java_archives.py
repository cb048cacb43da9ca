# SPDX-License-Identifier: GPL-3.0-or-later
"""Two versions of a real Java runtime as archives, made of Debian's own packages, which mirror1 serves.

The older is that of the workstation's image (Debian's main archive), the newer
that of its security archive. Made once, when a test first wants them.
"""

import json
from collections.abc import Callable
from pathlib import Path

from hospital_lab.places import Places

PACKAGE = "openjdk-17-jre-headless"
#: Runs in a host of the workstation's image; prints one line of JSON a version. Links into /etc become files.
SCRIPT = f"""
set -eu
work=$(mktemp -d); cd "$work"; apt-get update -qq; home=usr/lib/jvm/java-17-openjdk-$(dpkg --print-architecture)
newest=$(apt-cache policy {PACKAGE} | awk '/Candidate/ {{print $2}}')
apt-get download -qq {PACKAGE}="$newest"; dpkg-deb -x {PACKAGE}_*.deb new
pack() {{
  version=$(. "$1/$home/release"; echo "$JAVA_VERSION")
  mkdir "$version"; cp -rL "$1/$home/." "$version" 2>/dev/null || true
  "$version/bin/java" -version 2>/dev/null
  tar -c "$version" | gzip -1 > /var/tmp/java-$version.tar.gz
  sum=$(sha256sum /var/tmp/java-$version.tar.gz | cut -d' ' -f1)
  printf '{{"version": "%s", "sha256": "%s"}}\\n' "$version" "$sum"
}}
pack /; pack "$work/new"; rm -rf "$work"
"""


def made(places: Places) -> list[dict[str, str]]:
    """Return version and SHA-256 of the archives that are there, the older first; empty when they are not."""
    mark = folder(places) / "java.json"
    return list(json.loads(mark.read_text())) if mark.exists() else []


def make(places: Places, execute: Callable[[str], str], copy: Callable[[str, Path], None]) -> list[dict[str, str]]:
    """Make the archives in a host of the workstation's image: ``execute`` runs a script in it, ``copy`` gets a file."""
    folder(places).mkdir(parents=True, exist_ok=True)
    found = [json.loads(line) for line in execute(SCRIPT).splitlines()]
    for one in found:
        copy(f"/var/tmp/java-{one['version']}.tar.gz", folder(places) / f"java-{one['version']}.tar.gz")
    (folder(places) / "java.json").write_text(json.dumps(found))
    return found


def folder(places: Places) -> Path:
    """Where the archives lie; the repository's states come and go beside it."""
    return places.repository / "software"
