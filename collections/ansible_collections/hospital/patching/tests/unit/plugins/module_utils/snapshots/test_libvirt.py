# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt 9.0 prints, recorded; against a real one the provider is in tests/snapshots of the repository."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import libvirt_text, machine_records
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt import LibvirtProvider, snapshot_name

UUID = "564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f"
DOMAIN = """<domain type='qemu' id='1'>
  <name>db1</name>
  <uuid>564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f</uuid>
  <memory unit='KiB'>32768</memory>
  <currentMemory unit='KiB'>32768</currentMemory>
  <vcpu placement='static'>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/images/db1.img' index='1'/>
      <backingStore/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <target dev='hda' bus='ide'/>
      <readonly/>
    </disk>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/>
    </channel>
  </devices>
</domain>
"""
SNAPSHOT = """<domainsnapshot>
  <name>hospital-patching-restore-x</name>
  <description>hospital.patching restore point
kind: restore_point
reason: &lt;a &amp; b&gt; Gr\u00f6\u00dfe</description>
  <state>running</state>
  <creationTime>1795730939</creationTime>
  <parent>
    <name>before-lunch</name>
  </parent>
  <memory snapshot='internal'/>
  <disks>
    <disk name='vda' snapshot='internal'/>
  </disks>
  <domain type='qemu'>
    <name>db1</name>
    <uuid>564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f</uuid>
    <description>somebody's own of the domain</description>
  </domain>
</domainsnapshot>
"""
JOB = "Job type:         None        \n"


def test_a_domain_is_read():
    domain = libvirt_text.domain(DOMAIN)
    assert domain == ("564d5c1b-9a2e-7d0c-55f3-0a1b2c3d4e5f", "db1", domain.disks, False, True, 32 * 1024 * 1024)
    assert domain.disks == [("vda", "qcow2", "/images/db1.img", 0, False, False)]


@pytest.mark.parametrize(
    ("old", "new", "disk"),
    [
        (
            "<backingStore/>",
            "<backingStore><source file='b'/><backingStore/></backingStore>",
            ("qcow2", 1, False, False),
        ),
        ("<backingStore/>", "<shareable/>", ("qcow2", 0, True, False)),
        ("<backingStore/>", "<transient/>", ("qcow2", 0, False, True)),
        ("<driver name='qemu' type='qcow2'/>", "", ("raw", 0, False, False)),
        ("type='qcow2'", "type='raw'", ("raw", 0, False, False)),
    ],
)
def test_what_a_snapshot_cannot_hold_is_seen(old, new, disk):
    found = libvirt_text.domain(DOMAIN.replace(old, new, 1)).disks[0]
    assert (found.format, found.chain, found.shared, found.transient) == disk


@pytest.mark.parametrize(
    ("old", "new"),
    [("<os>", "<os firmware='efi'>"), ("<boot dev='hd'/>", "<loader readonly='yes' type='pflash'>/OVMF.fd</loader>")],
)
def test_uefi_is_seen(old, new):
    assert libvirt_text.domain(DOMAIN.replace(old, new)).pflash is True


def test_a_snapshot_is_read_and_redescribed():
    one = libvirt_text.snapshot(SNAPSHOT)
    assert (one.name, one.state, one.parent, one.internal) == (
        *("hospital-patching-restore-x", "running"),
        *("before-lunch", True),
    )
    assert one.description.splitlines()[2] == "reason: <a & b> Gr\u00f6\u00dfe"
    changed = libvirt_text.redescribed(SNAPSHOT, "now\n<this> & that")
    again = libvirt_text.snapshot(changed)
    assert again == one._replace(description="now\n<this> & that")
    assert "somebody's own of the domain" in changed  # of the domain within, nothing changes
    bare = "<domainsnapshot><name>a</name></domainsnapshot>"
    assert libvirt_text.snapshot(libvirt_text.redescribed(bare, "new")).description == "new"


def test_an_external_snapshot_is_seen():
    assert (
        libvirt_text.snapshot(SNAPSHOT.replace("name='vda' snapshot='internal'", "snapshot='external'")).internal
        is False
    )
    assert (
        libvirt_text.snapshot(SNAPSHOT.replace("memory snapshot='internal'", "memory snapshot='external'")).internal
        is False
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not XML"),
        ("error: failed to get domain", "not XML"),
        ("<domain/>", "no domain with a name and a UUID"),
        ("<domainsnapshot/>", "no domain"),
        ('<!DOCTYPE d [<!ENTITY a "aaaa">]><domain>&a;</domain>', "a declaration of a type or entity"),
        ("<domain>" + " " * (17 * 1024 * 1024), "more than any document"),
    ],
)
def test_what_is_no_document_of_libvirt_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        libvirt_text.domain(text)


def test_facts_of_one_thing_are_read():
    assert libvirt_text.fields(JOB) == {"Job type": "None"}
    facts = libvirt_text.fields("Name:  images\nState: running\nAvailable:      123456\n")
    assert (libvirt_text.bytes_of(facts, "Available"), libvirt_text.bytes_of(facts, "Capacity")) == (123456, None)


def test_no_two_names_meet_and_a_name_says_what_it_is():
    facts = {"kind": "restore_point", "run": "20261122T034500Z-ab12cd34", "token": "00ff"}
    assert snapshot_name(facts) == "hospital-patching-restore-20261122T034500Z-ab12cd34-00ff"
    aside = dict(facts, kind=machine_records.SET_ASIDE)
    assert snapshot_name(aside) == "hospital-patching-aside-20261122T034500Z-ab12cd34-00ff"


class Double:
    """Answers as virsh does where one domain runs; ``answers`` are what it says otherwise, by command."""

    def __init__(self, **answers):
        self.answers = {
            "list": UUID,
            "dumpxml": DOMAIN,
            "domstate": "running",
            "snapshot-list": "",
            "snapshot-current": None,
            "dominfo": "Persistent:     yes\n",
            "domjobinfo": JOB,
            "blockjob": "",
            "backup-dumpxml": None,
            "vol-pool": "images",
            "pool-refresh": "",
            "pool-info": "Available:      1000000000000\n",
            "qemu-agent-command": None,
        }
        self.answers.update({key.replace("_", "-"): value for key, value in answers.items()})
        self.asked = []

    def run(self, args, timeout_s=300, check=True, text_in=None):
        words = args[args.index("--quiet") + 1 :]
        self.asked.append(words)
        answer = self.answers[words[0]]
        if isinstance(answer, PatchingError):
            raise answer
        return Result(args, 1, "", "error: no") if answer is None else Result(args, 0, answer, "")


def refusal(options=None, **answers):
    given = dict({"dmi_uuid": UUID, "memory": True}, **(options or {}))
    return LibvirtProvider(given, Double(**answers), Clock(), lambda _folder: 0).available("db1")


def test_a_usual_domain_can_be_secured():
    assert refusal() is None
    assert refusal({"memory": False}, domstate="shut off", domjobinfo=None) is None


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"domstate": "paused"}, "it is paused"),
        ({"domstate": "in shutdown"}, "it is in shutdown"),
        ({"dominfo": "Persistent:     no\n"}, "it is transient"),
        ({"domjobinfo": "Job type:         Unbounded   \n"}, "a job is under way (Unbounded)"),
        ({"blockjob": " type=Block Copy\n bandwidth=0\n"}, "a job is under way on vda"),
        ({"backup_dumpxml": "<domainbackup/>"}, "a backup is under way"),
        ({"pool_info": "Available:      1000\n"}, "pool images of libvirt qemu:///system has 1000 bytes free"),
        ({"pool_info": "State:     inactive\n"}, "how much is free at /images/db1.img is not seen"),
        ({"vol_pool": None}, "how much is free at /images/db1.img is not seen"),
        ({"dumpxml": DOMAIN.replace("<os>", "<os firmware='efi'>")}, "it has UEFI firmware (pflash)"),
        ({"dumpxml": DOMAIN.replace("device='disk'", "device='floppy'")}, "it has no disk that could be put back"),
        ({"dumpxml": DOMAIN.replace("<backingStore/>", "<shareable/>")}, "vda is shared with other domains"),
    ],
)
def test_what_cannot_be_a_way_back_is_refused(answers, reason):
    assert reason in refusal(**answers)


def test_a_login_in_the_address_is_not_shown():
    double = Double(list=None)
    provider = LibvirtProvider({"uri": "qemu+tcp://root:do-not-show-me@h1/system"}, double, Clock())
    with pytest.raises(PatchingError, match=r"libvirt qemu\+tcp://\*\*\*@h1/system: virsh list: no") as raised:
        provider.list()
    assert "do-not-show-me" not in str(raised.value)


@pytest.mark.parametrize("key", ["timeout_s", "poll_s", "max_depth", "quiesce_timeout_s"])
def test_a_limit_that_would_never_end_or_never_begin_is_refused(key):
    with pytest.raises(PatchingError, match="{} is 0; expected 1 or more".format(key)):
        LibvirtProvider({key: 0}, Double(), Clock())


def test_an_image_does_not_tell_what_a_revert_loses():
    facts = dict.fromkeys(machine_records.REQUIRED, "x")
    facts.update(kind=machine_records.RESTORE_POINT, machine=UUID)
    bare = "<domainsnapshot><name>mine</name><state>shutoff</state></domainsnapshot>"
    shown = libvirt_text.redescribed(bare, machine_records.describe(facts))
    double = Double(**{"snapshot-list": "mine\n", "snapshot-dumpxml": shown})
    provider = LibvirtProvider({"dmi_uuid": UUID}, double, Clock())
    size, why = provider.loss(UUID + "/mine", "db1")
    assert size is None
    assert "qcow2" in why
    assert provider.loss(UUID + "/theirs", "db1") == (None, "there is no such restore point")
