# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches packages through apt, which checks them against the signed indexes."""

import contextlib
import os
import pwd
import re
import shutil
from typing import Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import AptMetadata
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import sha256_of
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins

#: For how long all packages of one host may be fetched. A mirror that sends nothing at all is given up by apt itself
#: (Acquire::http::Timeout); this is for one that sends a little all the time.
LIMIT_S = 3600
_LINE = re.compile(r"'(\S+)' (\S+) \d+ ")


def download(
    metadata: AptMetadata, targets: List[str], check: bool, options: Optional[List[str]] = None
) -> Dict[str, str]:
    """Fetch ``targets`` (``name:arch=version``) into the metadata's directory; return paths by SHA-256.

    Raises:
        PatchingError: with ``check``, one could not be fetched; with or without it, the time limit has passed.
    """
    directory = metadata.path("download")
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory)
    with contextlib.suppress(KeyError, OSError):  # an apt without its own user fetches as root
        os.chown(directory, pwd.getpwnam("_apt").pw_uid, -1)
    if targets:
        command = ["apt-get", "download", "-q"] + metadata.options() + (options or []) + targets
        try:
            metadata.host.runner.run(
                command, timeout_s=LIMIT_S, env={"DEBIAN_FRONTEND": "noninteractive"}, cwd=directory, check=check
            )
        except PatchingError as error:
            if not error.seen.startswith("no end after"):
                raise
            raise _slow(metadata, command, directory)
    paths = [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if name.endswith(".deb")]
    return {sha256_of(path): path for path in paths}


def _slow(metadata: AptMetadata, command: List[str], directory: str) -> PatchingError:
    """Return the error that names the first file that has not come whole, with its repository."""
    planned = metadata.host.runner.run(command + ["--print-uris"], timeout_s=60, check=False, cwd=directory)
    uris = [
        without_logins(uri, "") for uri, _name in _LINE.findall(planned.stdout)
    ]  # those that are whole are left out
    return PatchingError(
        "repository {}".format(uris[0] if uris else "of this host"),
        "{} packages still not here after {} s".format(len(uris) or "some", LIMIT_S),
        "a repository that gives them within that time",
        "look at the mirror and the way to it, then stage the host again; nothing was installed",
    )
