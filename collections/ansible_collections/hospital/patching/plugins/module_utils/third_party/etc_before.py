# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc before declared software changes it: archived, and what is proposed there afterwards, as for packages."""

import contextlib
import errno
import os
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import etc_archive, transaction
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import transaction_record


class EtcBefore:
    """What lay in /etc before the software of a transaction; an attempt that is gone on with keeps the first's."""

    def __init__(self, host: Host, wanted: Dict[str, Any], step: str) -> None:
        self.host = host
        self.folder = os.path.join(host.state_dir, "etc")
        name = "{}-{}".format(step, transaction.short_name(wanted))
        self._archive = os.path.join(self.folder, "etc-before-{}.tar".format(name))
        self._record = os.path.join(self.folder, "software-before-{}.json".format(name))

    def forget(self) -> None:
        """Remove what an earlier attempt left that came to its end."""
        for path in (self._archive, self._record):
            with contextlib.suppress(OSError):
                os.unlink(path)

    def read(self) -> Optional[Dict[str, Any]]:
        """Return the record, with ``conffile_proposals``, or None."""
        return transaction_record.read_file(self._record)

    def take(self) -> None:
        """Note what is proposed already, unless an earlier attempt did."""
        if self.read() is None:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            record = {"conffile_proposals": etc_archive.proposals(self.host.root)}
            transaction_record.write(self._record, record)

    def archive(self) -> str:
        """Archive /etc, unless an earlier attempt did; return where.

        Raises:
            PatchingError: there is no room for it, or it cannot be written.
        """
        try:
            if not os.path.exists(self._archive):
                etc_archive.archive(self.host.root, self._archive)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise PatchingError(
                self._archive,
                str(error),
                "room for a copy of /etc" if full else "a copy of /etc",
                "make room there, then run again or roll this host back; no declared software was changed",
            )
        return self._archive

    def proposed(self) -> List[str]:
        """Return the configuration files that were proposed since, instead of being put in force."""
        before = self.read()
        if before is None:
            return []
        return sorted(set(etc_archive.proposals(self.host.root)) - set(before["conffile_proposals"]))
