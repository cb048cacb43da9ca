# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine offers: its Debian mirror, its apt options, its control groups and capabilities."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hospital_lab.commands import run
from hospital_lab.errors import LabError

CAP_SYS_RESOURCE = 24


class Source(NamedTuple):
    """One archive that apt is told to use."""

    uri: str
    suite: str
    components: tuple[str, ...]


class Mirror(NamedTuple):
    """Where the lab's packages come from."""

    main: str
    security: str


def one_line_sources(text: str) -> list[Source]:
    """Read the one-line format of sources.list(5)."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            found.append(Source(match[1], match[2], tuple(match[3].split())))
    return found


def deb822_sources(text: str) -> list[Source]:
    """Read the stanza format of sources.list(5)."""
    found: list[Source] = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace():
                fields[name] = fields.get(name, "") + " " + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            found.extend(Source(uri, suite, components) for suite in fields.get("suites", "").split())
    return found


def apt_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """All archives of this machine, in apt's own order of files."""
    found: list[Source] = []
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        if file.suffix == ".list":
            found += one_line_sources(file.read_text())
        elif file.suffix == ".sources":
            found += deb822_sources(file.read_text())
    return found


def choose_mirror(sources: Iterable[Source], codename: str) -> Mirror:
    """Pick the mirror that serves ``main`` of the running release; third-party archives never do.

    Raises:
        LabError: there is none.
    """
    usable = [item for item in sources if item.uri.startswith(("http://", "https://")) and "main" in item.components]
    main = next((item.uri for item in usable if item.suite == codename), None)
    if main is None:
        raise LabError(
            f"no apt source of this machine serves 'main' of {codename} over http; "
            "the lab is built from it, add your Debian mirror to /etc/apt/sources.list.d"
        )
    security = next((item.uri for item in usable if item.suite.rstrip("/") == f"{codename}-security"), None)
    # A mirror of Debian has the security archive beside it, under this name.
    return Mirror(main.rstrip("/"), (security or re.sub(r"/debian/?$", "", main) + "/debian-security").rstrip("/"))


def codename(os_release: Path = Path("/etc/os-release")) -> str:
    """The running release's code name."""
    match = re.search(r"^VERSION_CODENAME=(\S+)", os_release.read_text(), re.MULTILINE)
    if match is None:
        raise LabError(f"{os_release} names no VERSION_CODENAME; the lab needs a Debian machine")
    return match[1].strip('"')


def apt_options() -> str:
    """The options without which this machine's mirror would not be usable from a lab host either."""
    dump = run(["apt-config", "dump"]).stdout
    wanted = re.compile(r"^(Acquire::(http|https)::Proxy|Acquire::Check-Valid-Until|Acquire::Check-Date) \".+\";$")
    return "".join(line + "\n" for line in dump.splitlines() if wanted.match(line))


def architecture() -> str:
    """The architecture of this machine, in Debian's words."""
    return run(["dpkg", "--print-architecture"]).stdout.strip()


def has_unified_cgroups(root: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether control groups are version 2 alone (neither version 1 nor hybrid)."""
    return (root / "cgroup.controllers").exists()


def may_raise_limits(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has CAP_SYS_RESOURCE, without which podman's default limits cannot be set."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", status.read_text(), re.MULTILINE)
    return match is not None and bool(int(match[1], 16) >> CAP_SYS_RESOURCE & 1)


def has_systemd() -> bool:
    """Whether systemd runs this machine."""
    return Path("/run/systemd/system").is_dir()


def boot_id() -> str:
    """This boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
