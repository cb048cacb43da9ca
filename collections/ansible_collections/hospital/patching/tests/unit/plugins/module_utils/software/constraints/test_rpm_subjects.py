# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of dnf, yum and zypper that install by themselves or leave packages out."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import (
    dnf_automatic,
    dnf_excludes,
    proxies,
)

RUNS = ("active", "enabled")
AUTOMATIC = "[commands]\nupgrade_type = security\napply_updates = {}\nreboot = {}\n[emitters]\nemit_via = stdio\n"


@pytest.mark.parametrize(
    ("applies", "reboot", "timer", "expected"),
    [
        ("yes", "never", "dnf-automatic.timer", [("dnf-automatic", "changes_packages")]),
        ("no", "never", "dnf-automatic.timer", [("dnf-automatic", "informs")]),
        ("no", "never", "dnf-automatic-install.timer", [("dnf-automatic", "changes_packages")]),
        ("yes", "never", None, [("dnf-automatic", "informs")]),
        (
            "yes",
            "when-needed",
            "dnf-automatic.timer",
            [("dnf-automatic", "changes_packages"), ("automatic reboot", "restarts")],
        ),
    ],
)
def test_dnf_automatic(world, effects, applies, reboot, timer, expected):
    world.boot_systemd(**({timer: RUNS} if timer else {}))
    world.write("etc/dnf/automatic.conf", AUTOMATIC.format(applies, reboot))
    assert effects(dnf_automatic.collect(world.look())) == expected


def test_the_hosts_own_file_goes_before_the_vendors(world, effects):
    world.boot_systemd(**{"dnf5-automatic.timer": RUNS})
    world.write("usr/share/dnf5/dnf5-plugins/automatic.conf", AUTOMATIC.format("no", "never"))
    world.write("etc/dnf/dnf5-plugins/automatic.conf", "[commands]\napply_updates = yes\n")
    assert effects(dnf_automatic.collect(world.look())) == [("dnf5-automatic", "changes_packages")]


def test_excludes_of_dnf(world):
    world.write("etc/dnf/dnf.conf", "[main]\ngpgcheck=1\nexcludepkgs=kernel*, pacs-viewer\n  glibc\n")
    (world.root / "etc/yum.conf").symlink_to("dnf/dnf.conf")
    world.write(
        "etc/yum.repos.d/site.repo",
        "[site]\nname=Site\nincludepkgs=ehr*\n[off]\nenabled=0\nexclude=a\n[other]\nexclude=b\n",
    )
    world.write("etc/yum.repos.d/site.repo.rpmsave", "[x]\nexclude=c\n")
    assert [(item["name"], item["detail"]) for item in dnf_excludes.excludes(world.look())] == [
        ("main", "excludepkgs = kernel* pacs-viewer glibc in [main] of /etc/dnf/dnf.conf"),
        ("site", "includepkgs = ehr* in [site] of /etc/yum.repos.d/site.repo"),
        ("other", "exclude = b in [other] of /etc/yum.repos.d/site.repo"),
    ]


@pytest.mark.parametrize(
    ("text", "line"), [("\npassword=hunter2\n", 2), ("[a]\nb=1\n hunter2\n=hunter2\n[hunter2\n", 4)]
)
def test_a_damaged_file_is_named_and_not_quoted(world, text, line):
    world.write("etc/yum.repos.d/a.repo", text)
    expected = ["/etc/yum.repos.d/a.repo: line {} is neither a section nor a setting".format(line)]
    assert [item["detail"] for item in dnf_excludes.excludes(world.look())] == expected
    assert [item["detail"] for item in proxies.collect(world.look())] == expected


def test_one_damaged_file_leaves_the_others(world, effects):
    world.write("etc/yum.repos.d/a.repo", "exclude=a\n")
    world.write("etc/yum.repos.d/b.repo", "[b]\nexclude=b\n")
    assert effects(dnf_excludes.excludes(world.look())) == [
        ("/etc/yum.repos.d/a.repo", "unknown"),
        ("b", "holds_back"),
    ]


def test_version_locks(world):
    world.write(
        "etc/dnf/plugins/versionlock.list",
        "\n# Added lock on Tue Nov 24 20:11:02 2026\nbash-0:5.1.8-9.el9.*\n!pacs-viewer-0:2.0-1.*\n",
    )
    world.write("etc/dnf/versionlock.toml", 'version = "1.0"\n\n[[packages]]\nname = "openssl"\ncomment = "x"\n')
    assert [(item["name"], item["detail"]) for item in dnf_excludes.locks(world.look())] == [
        ("bash-0:5.1.8-9.el9.*", "locked to bash-0:5.1.8-9.el9.* (/etc/dnf/plugins/versionlock.list)"),
        ("pacs-viewer-0:2.0-1.*", "leaves out !pacs-viewer-0:2.0-1.* (/etc/dnf/plugins/versionlock.list)"),
        ("openssl", "locked (/etc/dnf/versionlock.toml)"),
    ]


def test_locks_of_zypper(world, recorded):
    """The recording is what `zypper addlock` 1.14.42 wrote."""
    world.write("etc/zypp/locks", recorded("zypp_locks_of_a_patch.txt"))
    assert [(item["name"], item["detail"], item["effect"]) for item in dnf_excludes.zypper(world.look())] == [
        ("SUSE-2026-1", "patch locked (/etc/zypp/locks)", "holds_back"),
        ("kernel-default*", "package locked (/etc/zypp/locks)", "holds_back"),
        ("pacs-viewer", "package locked (/etc/zypp/locks)", "holds_back"),
    ]
