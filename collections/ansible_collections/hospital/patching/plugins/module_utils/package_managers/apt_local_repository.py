# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of .deb files with an index, which apt is told to see instead of the host's repositories."""

import os
from typing import Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import words
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import (
    DebFolder,
    sha256_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: Prints the control fields of each .deb, an empty line after each.
_CONTROL = 'for deb do dpkg-deb -f "$deb" || exit 1; echo; done'


def control_fields(runner: Runner, paths: List[str]) -> List[Dict[str, str]]:
    """Return the control fields of each .deb in one call.

    Raises:
        PatchingError: one of them is no readable .deb.
    """
    if not paths:
        return []
    result = runner.run(["sh", "-c", _CONTROL, "sh"] + paths, timeout_s=300)
    fields = list(deb822.paragraphs(result.stdout))
    if len(fields) != len(paths):
        raise PatchingError(
            os.path.dirname(paths[0]),
            "control fields of {} packages".format(len(fields)),
            "those of {} files".format(len(paths)),
            "remove this folder and stage again",
        )
    return fields


class LocalRepository(DebFolder):
    """The folder ``directory``: debs/, Packages, and apt's own files about it in apt/."""

    def __init__(self, runner: Runner, directory: str) -> None:
        super().__init__(directory)
        self.runner = runner
        self.apt = os.path.join(directory, "apt")

    def create(self) -> None:
        super().create()
        for path in (os.path.join(self.apt, "lists", "partial"), os.path.join(self.apt, "cache")):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def options(self) -> List[str]:
        """Return the arguments that make apt see this folder and nothing else.

        Signatures were checked when the files were staged and every file is
        checked against the transaction's SHA-256 before it is installed, so the
        folder itself is taken on trust. Pins of the host are out of the way:
        the versions are named exactly.
        """
        return words(
            [
                "Dir::Etc::sourcelist=" + os.path.join(self.apt, "sources.list"),
                "Dir::Etc::sourceparts=/dev/null",
                "Dir::Etc::preferences=/dev/null",
                "Dir::Etc::preferencesparts=/dev/null",
                "Dir::State::lists=" + os.path.join(self.apt, "lists"),
                "Dir::Cache=" + os.path.join(self.apt, "cache"),
                "APT::Default-Release=",
                "APT::Sandbox::User=root",
                "APT::Update::Post-Invoke-Success=",
                "APT::Update::Post-Invoke=",
                "APT::Update::Pre-Invoke=",
                "Acquire::Languages=none",
            ]
        )

    def index(self) -> None:
        """Write the index of all files from their control fields, and let apt read it.

        Raises:
            PatchingError: a file is damaged, or apt refuses the index.
        """
        paths = sorted(os.path.join(self.files, name) for name in os.listdir(self.files) if name.endswith(".deb"))
        text = []
        for path, fields in zip(paths, control_fields(self.runner, paths)):
            fields["Filename"] = "debs/" + os.path.basename(path)
            fields["Size"] = str(os.path.getsize(path))
            fields["SHA256"] = sha256_of(path)
            text.append(deb822.render(fields))
        self._write("Packages", "".join(text))
        self._write("apt/sources.list", "deb [trusted=yes] file:{} ./\n".format(self.directory.replace(" ", "%20")))
        self.runner.run(
            ["apt-get", "update", "-q"] + self.options() + words(["Debug::NoLocking=1"]),
            timeout_s=120,
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self.directory, name)
        with open(path + ".part", "w", encoding="utf-8") as handle:
            handle.write(text)
        os.rename(path + ".part", path)
