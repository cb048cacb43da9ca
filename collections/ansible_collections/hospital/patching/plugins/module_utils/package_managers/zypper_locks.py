# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings for one question to zypper: the host's own, with locks beside the host's.

libzypp reads the file that the environment variable ``ZYPP_CONF`` names in place of
/etc/zypp/zypp.conf, and takes the file of locks from its ``locksfile.path`` (zypp.conf).
"""

import glob
import os
import re
from typing import Iterable

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

SETTINGS = ("etc/zypp/zypp.conf", "usr/etc/zypp/zypp.conf")
#: Newer libzypp reads these as well; whether beside a file that is named is not certain.
DROP_INS = ("etc/zypp/zypp.conf.d/*", "usr/etc/zypp/zypp.conf.d/*")
LOCKS = "/etc/zypp/locks"
MAX_BYTES = 1024 * 1024

_LOCKS_FILE = re.compile(r"^[ \t]*locksfile\.path[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_MAIN = re.compile(r"^[ \t]*\[main\].*$", re.MULTILINE)
_LOCK = "\ntype: package\nmatch_type: exact\ncase_sensitive: on\nsolvable_name: {}\n"


def with_locks(root: str, directory: str, names: Iterable[str]) -> str:
    """Write settings that lock ``names`` as well into ``directory``, and return the path of their file.

    A lock is on a name, in all its architectures.

    Raises:
        PatchingError: the host's settings or locks cannot be read, or may not be read beside these.
    """
    if any(glob.glob(os.path.join(root, pattern)) for pattern in DROP_INS):
        raise _refused("zypp.conf.d", "it adds to zypp.conf")
    text = next(filter(None, (_read(root, name) for name in SETTINGS)), "")
    own = _LOCKS_FILE.findall(text)
    locks, settings = os.path.join(directory, "locks"), os.path.join(directory, "zypp.conf")
    line = "locksfile.path = {}".format(locks)
    text = _LOCKS_FILE.sub("", text)
    if _MAIN.search(text):
        text = _MAIN.sub(lambda main: "{}\n{}".format(main.group(0), line), text, count=1)
    else:
        text = "[main]\n{}\n{}".format(line, text)
    _write(locks, _read(root, (own[-1] if own else LOCKS).lstrip("/")) + "".join(_LOCK.format(name) for name in names))
    _write(settings, text)
    return settings


def _read(root: str, name: str) -> str:
    """Return a file's text, nothing if there is none."""
    try:
        with open(os.path.join(root, name), encoding="utf-8", errors="surrogateescape") as handle:
            text = handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _refused("/" + name, str(error))
    if len(text) > MAX_BYTES:
        raise _refused("/" + name, "more than {} bytes".format(MAX_BYTES))
    return text


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(text)


def _refused(subject: str, seen: str) -> PatchingError:
    return PatchingError(
        subject, seen, "settings that can be read as a whole", "nothing: each update is asked for by itself then"
    )
