# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of a carried folder: what an offline host asks for, and what a connected one fetches for it.

The connected host has the same release and the same repositories. It resolves
each request with the offline host's own package states in the place of its own,
in private directories, and installs nothing.
"""

import base64
import gzip
import os
import shutil
import tarfile
from typing import Any, Dict, Iterable, List, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import apt_preferences, deb822, disk_space
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_carried import NETWORK
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_download import download
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import AptMetadata, words
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    AptResolver,
    Stanza,
    by_version,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import (
    sha256_of,
    without_sha256,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.software.os_identity import read_os_release

#: What apt needs of a status file to resolve; descriptions and conffiles are two thirds of it.
FIELDS = (
    *("Package", "Essential", "Protected", "Important", "Status", "Version", "Architecture", "Multi-Arch", "Source"),
    *("Installed-Size", "Pre-Depends", "Depends", "Recommends", "Provides", "Conflicts", "Breaks", "Replaces"),
)
SCHEMA = 1


def platform(host: Host) -> str:
    """Return what must be equal on both ends, as ``debian bookworm amd64``."""
    release = read_os_release(host.root)
    version = release["codename"] or release["version_id"] or "rolling"
    return " ".join((release["id"], version, DpkgDatabase(host.root).native()))


def request(host: Host) -> Dict[str, Any]:
    """Return what a connected host must know of this one to resolve its updates; changes nothing."""
    database = DpkgDatabase(host.root)
    database.present()  # a damaged one is refused here, and not at the other end
    status = []
    for fields in deb822.paragraphs(_text(os.path.join(database.admin_dir, "status"))):
        status.append(deb822.render({name: fields[name] for name in FIELDS if name in fields}))
    return {
        "schema": SCHEMA,
        "manager": "apt",
        "platform": platform(host),
        "foreign": _foreign(host),
        "made": host.clock.stamp(),
        "repositories": _repositories(host),
        "preferences": "\n\n".join(_preferences(host.root)),
        "status": base64.b64encode(gzip.compress("\n".join(status).encode("utf-8"), 6)).decode("ascii"),
    }


def _text(path: str) -> str:
    with open(path, "rb") as handle:
        return handle.read().decode("utf-8", "replace")


def _foreign(host: Host) -> List[str]:
    try:
        return _text(os.path.join(host.root, "var/lib/dpkg/arch")).split()[1:]
    except OSError:
        return []


def _preferences(root: str) -> Iterable[str]:
    """Yield the texts of apt's pins, in apt's order."""
    for path in apt_preferences.paths(root):
        try:
            yield _text(os.path.join(root, path))
        except OSError:
            continue


def _repositories(host: Host) -> List[str]:
    """Return the addresses of the host's indexes that are fetched over a network, without logins."""
    result = host.runner.run(
        ["apt-get", "indextargets"] + words(["APT::Get::IndexTargets::ReleaseInfo=false"]), timeout_s=60
    )
    found = {
        without_logins(index["Base-URI"], "") + index.get("MetaKey", "")
        for index in deb822.paragraphs(result.stdout)
        if _is_package_index(index) and index.get("Optional") != "yes"
    }
    return sorted(found)


def _is_package_index(index: Dict[str, str]) -> bool:
    kind = index.get("Identifier", index.get("Created-By"))
    return kind == "Packages" and index.get("Base-URI", "").split(":", 1)[0] in NETWORK


class _PlainMetadata(AptMetadata):
    """Keeps its indexes as the Release files sign them uncompressed, however this host keeps its own."""

    def options(self) -> List[str]:
        return super().options() + words(["Acquire::GzipIndexes=false"])


class AptCarry:
    """One call on the connected host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.platform = platform(host)

    def fetch(self, requests: Dict[str, Dict[str, Any]], have: Set[str], archive: str) -> Dict[str, Any]:
        """Write what ``requests`` (by host) need and is not in ``have`` to the tar file ``archive``.

        Requests of other platforms are left for another host. The versions that are installed there come along
        where the repositories still have them, for the way back.

        Raises:
            PatchingError: a request's repository or architecture is missing here, or it cannot be resolved.
        """
        own = {name: wanted for name, wanted in requests.items() if wanted["platform"] == self.platform}
        with _PlainMetadata(self.host) as metadata:
            metadata.refresh()
            releases, lists, addresses = self._indexes(metadata)
            packages: Dict[Tuple[str, str, str], Stanza] = {}
            resolved = {}
            for name, wanted in sorted(own.items()):
                self._require_same(name, wanted, addresses)
                found = self._resolve(metadata, name, wanted)
                resolved[name] = sum(1 for stanza in found.values() if stanza.get("New"))
                packages.update(found)
            files = [
                {
                    "name": name,
                    "arch": arch,
                    "version": version,
                    "sha256": stanza["SHA256"],
                    "size_bytes": int(stanza["Size"]),
                }
                for (name, arch, version), stanza in sorted(packages.items())
            ]
            self._write(metadata, lists, [one for one in files if one["sha256"] not in have], have, archive)
            sizes = [{"sha256": sha256, "size_bytes": os.path.getsize(path)} for sha256, path in sorted(lists.items())]
        return {
            "platform": self.platform,
            "releases": releases,
            "lists": sizes,
            "files": files,
            "resolved": resolved,
        }

    def _indexes(self, metadata: AptMetadata) -> Tuple[Dict[str, str], Dict[str, str], Set[str]]:
        """Return SHA-256 of the signed files by address, paths of all indexes by SHA-256, and their addresses."""
        result = self.host.runner.run(["apt-get", "indextargets"] + metadata.options(), timeout_s=60)
        releases: Dict[str, str] = {}
        paths: Dict[str, str] = {}
        addresses = set()
        for index in deb822.paragraphs(result.stdout):
            if not _is_package_index(index):
                continue
            base = without_logins(index["Base-URI"], "")
            addresses.add(base + index["MetaKey"])
            # apt keeps the signed file beside the index, under the name of the folder of both.
            stem = index["Filename"].rpartition(index["MetaKey"].replace("/", "_"))[0]
            for name in ("InRelease", "Release", "Release.gpg"):
                if os.path.exists(stem + name):
                    releases[base + name] = sha256_of(stem + name)
                    paths[releases[base + name]] = stem + name
            paths[sha256_of(index["Filename"])] = index["Filename"]
        return releases, paths, addresses

    def _require_same(self, name: str, wanted: Dict[str, Any], addresses: Set[str]) -> None:
        missing = sorted(set(wanted["repositories"]) - addresses)
        foreign = sorted(set(wanted["foreign"]) - set(_foreign(self.host)))
        for seen in ["{} is no repository here".format(address) for address in missing] + [
            "{} is no architecture here".format(arch) for arch in foreign
        ]:
            raise PatchingError(
                "request of {}".format(name),
                seen,
                "a connected host with all repositories and architectures of the offline one",
                "add it to this connected host, then run it again; nothing was changed",
            )

    def _resolve(self, metadata: AptMetadata, name: str, wanted: Dict[str, Any]) -> Dict[Tuple[str, str, str], Stanza]:
        """Return the repository's paragraphs of all new versions, and of those that they replace."""
        status, pins = metadata.path("status"), metadata.path("carried-preferences")
        try:
            text = gzip.decompress(base64.b64decode(wanted["status"]))
        except (OSError, EOFError, ValueError) as error:
            raise PatchingError(
                "request of {}".format(name), str(error), "a whole request", "write it again at the site"
            )
        with open(status, "wb") as handle:
            handle.write(text)
        with open(pins, "w", encoding="utf-8") as handle:
            handle.write(wanted["preferences"])
        options = metadata.options() + words(
            [
                "Dir::State::status=" + status,
                "Dir::State::extended_states=" + metadata.path("no-states"),
                "Dir::Etc::preferences=" + pins,
                "Dir::Etc::preferencesparts=/dev/null",
                # Which machines a phased update is for, the offline host decides itself.
                "APT::Get::Always-Include-Phased-Updates=true",
            ]
        )
        resolver = AptResolver(self.host.runner, options, metadata.directory)
        changes = resolver.upgrade_all()
        versions = [(change.name, change.arch, change.to) for change in changes if change.to]
        before = [(change.name, change.arch, change.current) for change in changes if change.current]
        stanzas = by_version(resolver.show([target(*one) for one in versions + before]))
        found = {one: dict(stanzas[one], New="yes") for one in versions if one in stanzas}
        found.update({one: stanzas[one] for one in before if one in stanzas})
        for package, arch, version in versions:
            if not stanzas.get((package, arch, version or ""), {}).get("SHA256"):
                raise without_sha256(package, arch, version)
        return {key: stanza for key, stanza in found.items() if stanza.get("SHA256")}

    def _write(
        self, metadata: AptMetadata, lists: Dict[str, str], files: List[Dict[str, Any]], have: Set[str], archive: str
    ) -> None:
        size = sum(one["size_bytes"] for one in files)
        disk_space.check(disk_space.survey({metadata.directory: size, os.path.dirname(archive): size}))
        got = download(
            metadata,
            sorted({target(one["name"], one["arch"], one["version"]) for one in files}),
            check=True,
        )
        for one in files:
            if one["sha256"] not in got:
                raise PatchingError(
                    "{name}:{arch} {version}".format(**one),
                    "no downloaded file with SHA-256 {}".format(one["sha256"]),
                    "the file that the signed index names",
                    "check the repository or mirror, then run it again",
                )
        with tarfile.open(archive, "w:gz", compresslevel=1) as bundle:
            for sha256, path in sorted(dict(lists, **got).items()):
                if sha256 not in have:
                    bundle.add(path, sha256, recursive=False)
        # The login user fetches it, and everybody may read packages.
        shutil.chown(archive, os.getuid(), os.getgid())
        os.chmod(archive, 0o644)
