# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the initramfs can merge the root's snapshot: a merge that was put off begins where the root is activated.

An initramfs without what LVM needs for it does not find its root, and the host does not start.
"""

import os
import re
from typing import List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import read_text

#: As initramfs-tools names an image.
IMAGE = re.compile(r"^initrd\.img-(?P<release>[0-9].*)\Z")
#: Emulated, or on a slow disk, an image of hundreds of megabytes takes its time.
LIST_LIMIT_S = 300

Image = NamedTuple("Image", [("path", str), ("release", str)])


def require(runner: Runner, boot: str, modules: str, thin: bool) -> List[str]:
    """Prove that every initramfs in ``boot`` of an installed kernel can merge a root; ``thin`` says of which kind.

    ``modules`` is the folder with a folder of modules for each kernel. Returns what could not be looked at, as risks.

    Raises:
        PatchingError: one cannot merge it.
    """
    images = _images(boot, modules)
    risks: List[str] = []
    if not images:
        risks.append(
            "no initramfs of initramfs-tools is in {}: whether the root can be merged is not known".format(boot)
        )
    for image in images:
        names, why = _names(runner, image.path)
        if why:
            risks.append("{}: whether the root can be merged is not known".format(why))
            continue
        lacking = _lacking(names, read_text(os.path.join(modules, image.release, "modules.builtin")), thin)
        if lacking:
            raise PatchingError(
                "initramfs {}".format(image.path),
                "it lacks {}".format(", ".join(lacking)),
                "all that LVM needs to merge the root's snapshot while the host starts",
                "install {}, run update-initramfs -u -k {}, then run again".format(
                    "lvm2 and thin-provisioning-tools" if thin else "lvm2", image.release
                ),
            )
    return risks


def _images(boot: str, modules: str) -> List[Image]:
    found = []
    for name in sorted(os.listdir(boot)) if os.path.isdir(boot) else []:
        match = IMAGE.match(name)
        if match and os.path.isdir(os.path.join(modules, match.group("release"))):
            found.append(Image(os.path.join(boot, name), match.group("release")))
    return found


def _names(runner: Runner, path: str) -> Tuple[List[str], Optional[str]]:
    """Return the files in an image, or why they cannot be listed."""
    try:
        result = runner.run(["lsinitramfs", path], timeout_s=LIST_LIMIT_S, check=False)
    except PatchingError as error:
        return [], "lsinitramfs cannot list {} ({})".format(path, error.seen)
    if result.rc != 0 or not result.stdout.strip():
        return [], "lsinitramfs cannot list {} ({})".format(path, result.stderr.strip()[-200:] or "it printed nothing")
    return result.stdout.split("\n"), None


def _lacking(names: List[str], builtin: str, thin: bool) -> List[str]:
    files = {os.path.basename(name) for name in names}
    # A module may be compressed, such as dm-snapshot.ko.xz.
    modules = {name.partition(".ko")[0] for name in files if ".ko" in name}
    modules |= {os.path.basename(line).partition(".ko")[0] for line in builtin.split("\n")}
    programs = ["lvm"] + ["thin_check"] * thin
    return [
        "the kernel module {}".format(name)
        for name in ["dm-mod", "dm-thin-pool" if thin else "dm-snapshot"]
        if name not in modules
    ] + ["the program {}".format(name) for name in programs if name not in files]
