# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain ``keepalived``: a file lowers this host's VRRP priority, so that another one takes the virtual address.

keepalived's configuration has to know the file (docs/drains.md), by a ``vrrp_script``
with a negative weight or a ``vrrp_track_file``. The weight only lowers the
priority: a host without a partner keeps its address, which is seen, and refused.
"""

import ipaddress
import os
import re
from typing import Optional, Set

from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainProvider
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Readable for keepalived's own user, and still there after a reboot: the address must not come back before its proof.
FILE = "/etc/keepalived/hospital-patching-drain"
#: What ``ip -o addr show`` says of an address, as of iproute2: "2: eth0    inet 10.0.0.10/24 scope global eth0\...".
_ADDRESS = re.compile(r"^\d+:\s+\S+\s+inet6?\s+([0-9a-fA-F.:]+)", re.MULTILINE)


class KeepalivedDrain(DrainProvider):
    """``keepalived`` is the virtual address, ``port`` what answers there, ``peers`` who may take it over."""

    NAME = "keepalived"
    ELSEWHERE = False
    OPTIONS = {
        "keepalived": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "peers": {"type": "list", "elements": "str", "required": True},
        "file": {"type": "str", "default": FILE},
        "unit": {"type": "str", "default": "keepalived.service"},
        #: Whether the address has to come back to this host.
        "home": {"type": "bool", "default": False},
    }

    def validate(self) -> None:
        self.require_port("port")
        self.require_words("peers")
        if not os.path.isabs(self.options["file"]):
            raise PatchingError(
                "patching_drain with keepalived",
                "file is {!r}".format(self.options["file"]),
                "an absolute path",
                "correct it in the inventory",
            )
        try:
            self.address = str(ipaddress.ip_address(self.options["keepalived"]))
        except ValueError:
            raise PatchingError(
                "patching_drain with keepalived",
                repr(self.options["keepalived"]),
                "the virtual address, such as 10.20.0.80",
                "correct it in the inventory",
            )

    def is_out(self) -> bool:
        return os.path.exists(self.options["file"])

    def require_ready(self) -> None:
        for peer in self.options["peers"]:
            why = self.silent(peer, self.options["port"])
            if why:
                raise self.refused(
                    "partner {} does not serve: {}".format(peer, why),
                    "every partner serving before this host leaves",
                    "bring {} back first, or correct peers".format(peer),
                )
        why = self._not_running()
        if why:
            raise self.refused(why, "a keepalived that runs", "start it, and look why it was down")

    def leave(self) -> bool:
        if self.is_out():
            return False
        try:
            # vrrp_track_file reads a number, a script only looks whether the file is there.
            with open(self.options["file"], "w") as handle:
                handle.write("1\n")
                handle.flush()
                os.fsync(handle.fileno())
            os.chmod(self.options["file"], 0o644)
        except OSError as error:
            raise self.refused(str(error), "a file that can be written", "correct file, or make its folder")
        return True

    def unmoved(self) -> Optional[str]:
        if self.address in self._addresses():
            return "{} is still on this host: no partner has a higher priority, or keepalived does not know {}".format(
                self.address, self.options["file"]
            )
        why = self.silent(self.address, self.options["port"])
        return "no partner answers at {}: {}".format(self.address, why) if why else None

    def back(self) -> bool:
        try:
            os.unlink(self.options["file"])
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self.refused(str(error), "a file that can be removed", "remove {}".format(self.options["file"]))
        return True

    def unreturned(self) -> Optional[str]:
        if self.is_out():
            return "{} is still there".format(self.options["file"])
        why = self._not_running()
        if why:
            return why
        if self.options["home"] and self.address not in self._addresses():
            return "{} has not come back to this host".format(self.address)
        why = self.silent(self.address, self.options["port"])
        return "nobody answers at {}: {}".format(self.address, why) if why else None

    def _addresses(self) -> Set[str]:
        said = self.context.runner.run(["ip", "-o", "addr", "show"], timeout_s=30).stdout
        return {str(ipaddress.ip_address(found)) for found in _ADDRESS.findall(said)}

    def _not_running(self) -> Optional[str]:
        state = self.context.runner.run(["systemctl", "is-active", self.options["unit"]], timeout_s=30, check=False)
        said = state.stdout.strip() or "unknown"
        return None if said == "active" else "{} is {}".format(self.options["unit"], said)
