# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of dnf whose dnf and rpm are played by a runner: it answers as the hooks do."""

import hashlib
import json
import os

from ansible_collections.hospital.patching.plugins.module_utils.runner import Result


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class RedHatDouble:
    """rpm's database as (name, arch) to a list of versions; a repository as (name, version) to its file's content."""

    def __init__(self, root):
        self.root = root
        for name in ("usr/bin", "var/lib/rpm", "var/lib/dnf", "var/tmp", "etc"):
            (root / name).mkdir(parents=True)
        (root / "usr/bin/python3").write_text("")
        (root / "var/lib/rpm/rpmdb.sqlite").write_text("")
        self.installed = {"agent": ["1.0-1"], "labels": ["1-1"], "kernel-core": ["5.1-1"]}
        self.repository = {
            (name, version): "{} {}".format(name, version).encode()
            for name, version in (("agent", "1.0-1"), ("agent", "1.1-1"), ("labels", "1-1"), ("words", "1-1"))
        }
        self.automatic = {"labels"}
        self.changes = [("agent", "1.0-1", "1.1-1"), ("labels", "1-1", None), ("words", None, "1-1")]
        self.unsigned, self.differ, self.failing, self.killed = set(), [], set(), False
        self.work = []
        self.environment = {}

    # --- the runner ---

    def run(self, args, env=None, check=True, **_others):
        if args[:2] == ["rpm", "-qa"]:
            return Result(args, 0, self._listed(), "")
        if args[:2] == ["sh", "-c"]:
            self.environment = env
            with open(args[3], "a", encoding="utf-8") as log:
                return Result(args, self._hook(args[-1], log), "", "")
        if args[1:2] == ["-I"]:
            with open(os.devnull, "w", encoding="utf-8") as log:
                return Result(args, self._hook(args[-1], log), "", "")
        return Result(args, 0, "", "")

    def _listed(self):
        found = ""
        for name, versions in sorted(self.installed.items()):
            for version in versions:
                number, _dash, release = version.partition("-")
                fields = [name, "(none)", number, release, "noarch", "x.src.rpm", "V", "100", "1"]
                found += "\x1f".join(fields) + "\x1e"
        return found

    def _hook(self, question, log):
        with open(question, encoding="utf-8") as handle:
            asked = json.load(handle)
        self.work.append(asked["work"] + " test" * bool(asked.get("test")))
        try:
            answer = getattr(self, "_" + asked["work"])(asked, log)
        except ProcessLookupError:
            return -9
        with open(asked["answer"], "w", encoding="utf-8") as handle:
            json.dump(answer, handle)
        return 1 if answer.get("differences") or answer.get("errors") else 0

    def _resolve(self, asked, _log):
        for update in asked["updates"]:
            if update["to"] and (update["name"], update["to"]) not in self.repository:
                offered = sorted(version for name, version in self.repository if name == update["name"])
                return {"updates": [], "missing": {"name": update["name"], "arch": "noarch", "versions": offered}}
        return {"updates": [self._change(*change) for change in self.changes], "missing": None}

    def _change(self, name, old, new):
        content = self.repository.get((name, new), b"")
        return {
            "name": name,
            "arch": "noarch",
            "from": old,
            "to": new,
            "sha256": sha256(content) if new else None,
            "download_bytes": len(content),
            "installed_bytes": 100,
            "repository": "os" if new else None,
            "automatic": False,
            "cves": ["CVE-2026-1"],
        }

    def _fetch(self, asked, _log):
        files = []
        for name, arch, version, _origin in asked["packages"]:
            if (name, version) in self.repository:
                path = os.path.join(asked["target"], name + version)
                with open(path, "wb") as handle:
                    handle.write(self.repository[(name, version)])
                problem = "Package is not signed" if name in self.unsigned else None
                item = {"name": name, "arch": arch, "evr": version, "path": path, "problem": problem}
                files.append(dict(item, sha256=sha256(self.repository[(name, version)]), bytes=1))
        return {"files": files}

    def _perform(self, asked, log):
        if self.differ or asked["test"]:
            return {"differences": self.differ, "errors": [], "failed": []}
        failed = []
        for name, arch, version, path, _origin, automatic in asked["install"]:
            assert os.path.exists(path)
            with open(asked["begun"], "a", encoding="utf-8") as begun:
                begun.write(json.dumps([name, arch]) + "\n")
            if self.killed:
                self.installed[name].append(version)
                raise ProcessLookupError
            self.installed[name] = [version]
            if automatic is not None:
                (self.automatic.add if automatic else self.automatic.discard)(name)
            if name in self.failing:
                failed.append([name, arch])
                log.write(
                    "the index is full\nwarning: %post({}-{}.noarch) scriptlet failed, exit status 3\n".format(
                        name, version
                    )
                )
        for name, _arch, version in asked["remove"]:
            self.installed[name].remove(version)
            self.automatic.discard(name)
        return {"differences": [], "errors": ["Error in POSTIN scriptlet"] * len(failed), "failed": failed}

    def _mark(self, asked, _log):
        self.automatic |= {name for name, _arch in asked["automatic"]}
        self.automatic -= {name for name, _arch in asked["manual"]}
        return {}


def update(name, old, new, automatic=False):
    return {
        "name": name,
        "arch": "noarch",
        "from": old,
        "to": new,
        "origin": "os",
        "automatic": automatic,
        "kind": "removal" if new is None else "upgrade",
    }


UPDATES = [update("agent", "1.0-1", "1.1-1"), update("labels", "1-1", None), update("words", None, "1-1", True)]
