# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of a Debian host: its files are real, its apt and dpkg are played by a runner."""

import contextlib
import hashlib
import io
import json
import os
import re
import shlex

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_guard_hook
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded")


def recorded_text(name):
    with open(os.path.join(RECORDED, name), encoding="utf-8") as handle:
        return handle.read()


@pytest.fixture
def recorded():
    return recorded_text


def plain_arguments(args):
    """Return the arguments of an apt command without its options."""
    found, skip = [], False
    for word in args:
        if skip:
            skip = False
        elif word == "-o":
            skip = True
        elif not word.startswith("-"):
            found.append(word)
    return found


def setting(args, name):
    return next((word.split("=", 1)[1] for word in args if word.startswith(name + "=")), None)


class DebianDouble:
    """dpkg's and apt's files under ``root``, a repository, and the commands that work on both."""

    def __init__(self, root):
        self.root = root
        for name in (
            "var/lib/dpkg/updates",
            "var/lib/apt/lists",
            "var/tmp",
            "usr/sbin",
            "usr/bin",
            "etc",
            "boot",
            "run",
        ):
            (root / name).mkdir(parents=True)
        (root / "usr/bin/apt-get").write_text("")
        (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
        self.installed = {}
        self.automatic = set()
        self.held = set()
        self.repository = {}
        self.security = set()
        self.needs = {}
        self.sources = {}
        self.blocked = set()
        self.priorities = {}
        self.extra_actions = {}
        self.fail_after = None
        self.mark_manual = True
        self.apt_update = (0, "")
        self.audit = ""
        self.changelog = ""
        self.commands = []
        self.install("dpkg", "amd64", "1.21.23")

    # --- what the host has ---------------------------------------------------

    def install(self, name, arch, version, automatic=False, state="installed"):
        self.installed[(name, arch)] = (version, state)
        if automatic:
            self.automatic.add(name)
        self.save()

    def offer(self, name, arch, version, security=True, text=""):
        content = json.dumps({"Package": name, "Architecture": arch, "Version": version, "text": text}).encode()
        self.repository[(name, arch, version)] = content
        if security:
            self.security.add((name, version))

    def save(self):
        blocks = [
            "Package: {}\nStatus: {} ok {}\nArchitecture: {}\nVersion: {}\nInstalled-Size: 10\n".format(
                name, "hold" if name in self.held else "install", state, arch, version
            )
            for (name, arch), (version, state) in sorted(self.installed.items())
        ]
        (self.root / "var/lib/dpkg/status").write_text("\n".join(blocks) + "\n")
        (self.root / "var/lib/apt/extended_states").write_text(
            "".join(
                "Package: {}\nArchitecture: amd64\nAuto-Installed: 1\n\n".format(name)
                for name in sorted(self.automatic)
            )
        )

    def version(self, name):
        return next((version for (known, _arch), (version, _state) in self.installed.items() if known == name), None)

    # --- the runner ----------------------------------------------------------

    @contextlib.contextmanager
    def stream(self, args, **_others):
        """Unpack a package, which holds nothing here; test_deb_contents.py has real ones."""
        assert args[:2] == ["dpkg-deb", "--fsys-tarfile"], args
        yield io.BytesIO(bytes(10240))

    def run(self, args, check=True, cwd=None, env=None, **_others):
        self.commands.append(args)
        words = plain_arguments(args)
        if args[:2] == ["sh", "-c"]:
            return self._shell(args)
        if args[0] == "apt-config":
            return Result(args, 0, "", "")
        if args[0] == "dpkg":
            return Result(args, 0, self.audit, "")
        if words[:2] == ["apt-get", "update"]:
            rc, err = self.apt_update if "Dir::Etc::sourceparts=/dev/null" not in args else (0, "")
            return Result(args, rc, "", err)
        if words[:2] == ["apt-get", "indextargets"]:
            return Result(args, 0, recorded_text("apt_indextargets.txt"), "")
        if words[:2] == ["apt-cache", "show"]:
            return Result(args, 0, self._show(words[2:]), "")
        if words[:2] == ["apt-get", "download"]:
            self._download(words[2:], cwd)
            return Result(args, 0, "", "")
        if words[:2] == ["apt-get", "dump"]:
            return self._dump(args, env["APT_EDSP_DUMP_FILENAME"])
        assert words[:1] == ["apt-get"], args
        assert args[1] == "-s", args
        return self._simulate(args, words[1:])

    def _key(self, target):
        name, _equals, version = target.rstrip("-").partition("=")
        name, _colon, arch = name.partition(":")
        return name, arch, version

    def _stanzas(self, name, version):
        for (known, arch, offered), content in sorted(self.repository.items()):
            if known == name and version in ("", offered):
                yield known, arch, offered, content

    def _show(self, targets):
        text = ""
        for target in targets:
            name, _arch, version = self._key(target)
            for known, arch, offered, content in self._stanzas(name, version):
                text += "Package: {}\nArchitecture: {}\nVersion: {}\nInstalled-Size: 12\nFilename: pool/x\n".format(
                    known, arch, offered
                )
                text += "Size: {}\nSHA256: {}\n\n".format(len(content), hashlib.sha256(content).hexdigest())
        return text

    def _download(self, targets, cwd):
        for target in targets:
            name, _arch, version = self._key(target)
            for known, arch, offered, content in self._stanzas(name, version):
                with open(os.path.join(cwd, "{}_{}_{}.deb".format(known, offered, arch)), "wb") as handle:
                    handle.write(content)

    def _newest(self):
        newest = {}
        for name, arch, version in sorted(self.repository):
            newest[(name, arch)] = version
        return newest

    def _changes(self, words, ignore_holds=False):
        """Return {(name, arch): version or None} of a command."""
        if words[0] == "dist-upgrade":
            return {
                key: version
                for key, version in self._newest().items()
                if key in self.installed
                and self.installed[key][0] != version
                and key[0] not in self.blocked
                and (key[0], version) not in self.priorities
                and (ignore_holds or key[0] not in self.held)
            }
        wanted = {}
        for target in words[1:]:
            name, _arch, version = self._key(target)
            if target.endswith("-"):
                wanted.update({key: None for key in self.installed if key[0] == name})
            else:
                wanted.update({(known, arch): offered for known, arch, offered, _c in self._stanzas(name, version)})
            wanted.update(self.needs.get(name, {}))
        return {key: version for key, version in wanted.items() if self.installed.get(key, (None,))[0] != version}

    def _origin(self, name, version):
        if (name, version) in self.security:
            return {
                "archive": "oldstable-security",
                "codename": "bookworm-security",
                "version": "12",
                "origin": "Debian",
                "label": "Debian-Security",
            }
        return {
            "archive": "oldstable",
            "codename": "bookworm",
            "version": "12.15",
            "origin": "Debian",
            "label": "Debian",
        }

    def _dump(self, args, path):
        """Write every version as apt's solver ``dump`` does; what is blocked is a candidate all the same."""
        newest = self._newest()
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("Request: EDSP 0.5\n")
            for name, arch, version in sorted(self.repository):
                handle.write("\nPackage: {}\nArchitecture: {}\nVersion: {}\n".format(name, arch, version))
                handle.write("Source: {}\nAPT-Release:\n o=Debian\n".format(self.sources.get(name, name)))
                handle.write("APT-Pin: {}\n".format(self.priorities.get((name, version), 500)))
                if newest[(name, arch)] == version and (name, version) not in self.priorities:
                    handle.write("APT-Candidate: yes\n")
        return Result(args, 100, "", "E: External solver failed with: I am too dumb, i can just dump!")

    def _simulate(self, args, words):
        packages = []
        changes = self._changes(words, "--ignore-hold" in args)
        preferences = setting(args, "Dir::Etc::preferences")
        if preferences:
            with open(preferences, encoding="utf-8") as handle:
                kept = set(re.findall("^Package: (.*)$", handle.read(), re.MULTILINE))
            changes = {
                key: version
                for key, version in changes.items()
                if key[0] not in kept and not {name for name, _arch in self.needs.get(key[0], {})} & kept
            }
        for (name, arch), version in sorted(changes.items()):
            current = self.installed.get((name, arch), (None,))[0]
            of = {"version": version, "architecture": arch, "origins": [self._origin(name, version)]}
            was = {"version": current, "architecture": arch, "origins": []} if current else None
            versions = {"current": was} if was else {}
            if version:
                versions.update(install=of, candidate=of)
            mode = "deinstall" if version is None else "upgrade" if current else "install"
            packages.append(
                {
                    "name": name,
                    "architecture": "amd64",
                    "mode": mode,
                    "automatic": current is None or name in self.automatic,
                    "versions": versions,
                }
            )
        hook = next(word for word in args if word.startswith("AptCli::Hooks::"))
        with open(hook.split()[-1], "w", encoding="utf-8") as handle:
            json.dump(packages, handle)
        return Result(args, 0, "", "")

    def _shell(self, args):
        script, rest = args[2], args[4:]
        if "dpkg-deb -f" in script:
            text = ""
            for path in rest:
                with open(path, "rb") as handle:
                    fields = json.loads(handle.read().decode())
                text += (
                    "Package: {Package}\nVersion: {Version}\nArchitecture: {Architecture}\nSource: src (9)\n\n".format(
                        **fields
                    )
                )
            return Result(args, 0, text, "")
        if "--fsys-tarfile" in script:
            return Result(args, 0, self.changelog, "")
        log, command = args[3], args[4:]
        with open(log, "a", encoding="utf-8") as handle:
            handle.write("{} was run\n".format(command[0]))
        rc = {"apt-get": self._apt_get, "apt-mark": self._apt_mark, "dpkg": self._configure}[command[0]](command)
        if rc:
            with open(log, "a", encoding="utf-8") as handle:
                handle.write("E: Sub-process /usr/bin/dpkg returned an error code (1)\n")
        return Result(args, rc, "", "")

    def _apt_get(self, command):
        targets = plain_arguments(command)[2:]
        changes = self._changes(["install"] + targets)
        changes.update(self.extra_actions)
        lines = ["VERSION 3", ""]
        for (name, arch), version in changes.items():
            current = self.installed.get((name, arch), ("-",))[0]
            action = "**REMOVE**" if version is None else "/x/{}.deb".format(name)
            lines.append(
                "{} {} {} none < {} {} none {}".format(
                    name, current, arch, version or "-", arch if version else "-", action
                )
            )
        hook = next(word.split("=exec ", 1)[1] for word in command if word.startswith("DPkg::Pre-Install-Pkgs::="))
        _python, _flag, _other, _script, expected, answer = shlex.split(hook)
        with open(expected, encoding="utf-8") as handle:
            found, configured = apt_guard_hook.actions("\n".join(lines) + "\n")
            differences = apt_guard_hook.differences(found, configured, json.load(handle))
        with open(answer, "w", encoding="utf-8") as handle:
            json.dump(differences, handle)
        if differences:
            return 100
        self.policy_during_dpkg = (self.root / "usr/sbin/policy-rc.d").exists()
        for number, ((name, arch), version) in enumerate(changes.items()):
            if self.fail_after is not None and number >= self.fail_after:
                self.install(name, arch, version, state="half-configured")
                return 100
            if version is None:
                del self.installed[(name, arch)]
            else:
                self.installed[(name, arch)] = (version, "installed")
            if self.mark_manual:
                self.automatic.discard(name)
        self.save()
        return 0

    def _apt_mark(self, command):
        mark, *names = plain_arguments(command)[1:]
        for name in names:
            plain = name.split(":")[0]
            (self.automatic.add if mark == "auto" else self.automatic.discard)(plain)
        self.save()
        return 0

    def _configure(self, command):
        if "--configure" not in command:
            return 0
        if self.fail_after is None:
            self.installed = {key: (version, "installed") for key, (version, _state) in self.installed.items()}
            self.save()
            return 0
        return 1

    # --- calls ---------------------------------------------------------------

    def ran(self, *words):
        """Return the commands that contain all ``words``, in a row or not."""
        return [args for args in self.commands if all(word in args for word in words)]


@pytest.fixture
def debian(tmp_path, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_args: None)
    return DebianDouble(tmp_path)


@pytest.fixture
def host(debian, tmp_path):
    return Host(debian, Clock(), str(tmp_path), str(tmp_path / "state"))


@pytest.fixture
def patched(debian):
    """A host with three pending security updates: one automatic, one new dependency among them."""
    debian.install("libssl3", "amd64", "3.0.20", automatic=True)
    debian.install("openssl", "amd64", "3.0.20")
    debian.install("tzdata", "all", "2026b")
    for version in ("3.0.20", "3.0.22"):
        debian.offer("libssl3", "amd64", version, security=version == "3.0.22")
        debian.offer("openssl", "amd64", version, security=version == "3.0.22")
    debian.offer("tzdata", "all", "2026b", security=False)
    debian.offer("tzdata", "all", "2026f", security=False)
    return debian


@pytest.fixture
def stage_request():
    def make(updates, manifest=None, check=False, run_id="R1", window_end=""):
        return StageRequest(run_id, "h1", updates, manifest, check, "", window_end)

    return make


@pytest.fixture
def install_request():
    def make(transaction, check=False, run_id="R1"):
        return InstallRequest(run_id, transaction, 5, 60, check)

    return make
