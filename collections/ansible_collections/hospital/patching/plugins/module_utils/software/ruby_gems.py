# SPDX-License-Identifier: GPL-3.0-or-later
"""Ruby gems, from the names of their specifications; Ruby is not started.

RubyGems names a specification by ``Gem::BasicSpecification#full_name``:
``name-version.gemspec``, or ``name-version-platform.gemspec``. Those that come
with Ruby lie in ``specifications/default``.
"""

import os
import re
from typing import Any, Dict, List, Sequence

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.local_disks import LocalDisks
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import whole

HOMES = (
    "/usr/lib/ruby/gems/*",
    "/usr/lib64/ruby/gems/*",
    "/usr/lib64/gems/ruby/*",
    "/usr/share/gems",
    "/usr/share/rubygems-integration/*",
    "/usr/local/lib/ruby/gems/*",
    "/usr/local/lib64/ruby/gems/*",
    "/usr/local/share/gems",
    "/usr/local/rvm/gems/*",
    "/var/lib/gems/*",
    "/opt/*/lib/ruby/gems/*",
    "/opt/*/embedded/lib/ruby/gems/*",
    "/opt/*/*/lib/ruby/gems/*",
    "/root/.rbenv/versions/*/lib/ruby/gems/*",
    "/home/*/.rbenv/versions/*/lib/ruby/gems/*",
    "/root/.gem/ruby/*",
    "/home/*/.gem/ruby/*",
    "/root/.local/share/gem/ruby/*",
    "/home/*/.local/share/gem/ruby/*",
)
GEMS = 5000
#: A platform begins with a letter (x86_64-linux, java); so does a pre-release part, but after a dot.
_FILE = re.compile(r"(.+?)-([0-9][0-9A-Za-z.]*)(?:-([A-Za-z].*))?\.gemspec\Z")


def collect(host: Host, homes: Sequence[str] = HOMES) -> List[Dict[str, Any]]:
    """Return ``[{name, version, platform, default, path}]`` sorted by name; platform is None for pure Ruby.

    Raises:
        PartialError: there are too many.
    """
    disks = LocalDisks(host.root)
    paths: Dict[str, bool] = {}
    for home in homes:
        for middle in ("", "default/"):
            for path in disks.expand("{}/specifications/{}*.gemspec".format(home, middle)):
                paths[path] = bool(middle)
    found = []
    for path in sorted(paths)[:GEMS]:
        match = _FILE.match(os.path.basename(path))
        if match:
            name, version, platform = match.groups()
            found.append({"name": name, "version": version, "platform": platform, "default": paths[path], "path": path})
    problems = ["{} gems, more than {}".format(len(paths), GEMS)] if len(paths) > GEMS else []
    return list(whole("Ruby gems", sorted(found, key=lambda gem: (str(gem["name"]), str(gem["path"]))), problems))
