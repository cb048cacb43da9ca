# SPDX-License-Identifier: GPL-3.0-or-later
"""systemctl's answers, as systemd 252 prints them."""

from ansible_collections.hospital.patching.plugins.module_utils import systemd_units
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

FAILED = (
    "nginx.service loaded failed failed A high performance web server\nboot-efi.mount loaded failed failed /boot/efi\n"
)
SHOWN = "Id=nginx.service\nMainPID=412\n\nId=cron.service\nMainPID=0\n"


class Systemctl:
    def __init__(self, text):
        self.text = text

    def run(self, args, **_others):
        assert args[0] == "systemctl"
        return Result(args, 0, self.text, "")


def test_failed_units(tmp_path):
    assert systemd_units.failed_units(Systemctl(FAILED), str(tmp_path)) == []
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert systemd_units.failed_units(Systemctl(FAILED), str(tmp_path)) == ["boot-efi.mount", "nginx.service"]
    assert systemd_units.failed_units(Systemctl(""), str(tmp_path)) == []


def test_properties_of_several_units():
    found = systemd_units.show(Systemctl(SHOWN), ["nginx.service", "cron.service"], ["Id", "MainPID"])
    assert found == [{"Id": "nginx.service", "MainPID": "412"}, {"Id": "cron.service", "MainPID": "0"}]
    assert systemd_units.show(None, [], ["Id"]) == []
