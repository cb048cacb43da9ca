# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's metadata at an offline site: the host's own repositories, fetched from the carried folder."""

import os
import re
from typing import List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_carried_method
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import AptMetadata, words
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import python, source_of
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.carried_files import CarriedFiles

#: The ways over a network; a repository under file: or cdrom: is at hand anyway.
NETWORK = ("http", "https", "ftp")
#: In the words of the method, and of apt, which asks it for Release when there is no InRelease.
_NOT_CARRIED = re.compile("not in the carried folder|(does not have|no longer has) a Release file")


class CarriedMetadata(AptMetadata):
    """As its base, but nothing is fetched over a network."""

    def __init__(self, host: Host, digest: str) -> None:
        super().__init__(host)
        self.digest = digest
        self.carried = CarriedFiles(host)
        self.method = os.path.join(self.carried.directory, "method")

    def __enter__(self) -> "CarriedMetadata":
        self.carried.require(self.digest)
        # Under the state directory: /var/tmp may be mounted noexec, /var/lib is not, or dpkg's own scripts would fail.
        text = "#!{} -IS\n{}".format(python(), source_of(apt_carried_method))
        if not self._is_there(text):
            with open(self.method, "w", encoding="utf-8") as handle:
                handle.write(text)
            os.chmod(self.method, 0o700)
        super().__enter__()
        return self

    def _is_there(self, text: str) -> bool:
        try:
            with open(self.method, encoding="utf-8") as handle:
                return handle.read() == text and os.access(self.method, os.X_OK)
        except OSError:
            return False

    def options(self) -> List[str]:
        return super().options() + words(
            ["Dir::Bin::Methods::{}={}".format(name, self.method) for name in NETWORK]
            + [
                # The folder may be carried for longer than a Release file is valid (seven days for Debian's security
                # archive). How old it is, assess reports as each repository's date.
                "Acquire::Check-Valid-Until=false",
                # The folder is root's, and nothing comes from a network that would have to be kept away from it.
                "APT::Sandbox::User=root",
                "Acquire::PDiffs=false",
                "Acquire::CompressionTypes::Order::=uncompressed",
            ]
        )

    def refresh(self) -> None:
        """Read the indexes from the carried folder.

        Raises:
            PatchingError: naming the repository of this host that was not carried, or whose signature is not right.
        """
        try:
            super().refresh()
        except PatchingError as error:
            if not _NOT_CARRIED.search(error.seen):
                raise
            raise PatchingError(
                error.subject,
                "it was not carried",
                "every repository of this host in the carried folder",
                "add it on the connected machine and carry the folder again, or remove it from /etc/apt here; nothing"
                " was changed",
            )

    def _seed(self) -> None:
        """Begin with nothing: what the host knew of its repositories before may be newer than the folder."""


def metadata(host: Host, carried: str) -> AptMetadata:
    """Return apt's metadata from the network, or from the carried folder with this digest."""
    return CarriedMetadata(host, carried) if carried else AptMetadata(host)
