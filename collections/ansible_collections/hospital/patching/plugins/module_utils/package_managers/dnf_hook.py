# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs this project's scripts on the system's own Python, which has dnf's bindings."""

import json
import os
from typing import Any, Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf5_resolve_hook,
    dnf5_transaction_hook,
    dnf_resolve_hook,
    dnf_transaction_hook,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import source_of
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins

#: The Pythons that may have dnf's bindings: EL 8's own, and everyone else's.
PYTHONS = ("usr/libexec/platform-python", "usr/bin/python3")
MAX_ANSWER_BYTES = 64 * 1024 * 1024
#: The scripts of either dnf; some need others beside them.
HOOKS = (dnf_resolve_hook, dnf_transaction_hook, dnf5_resolve_hook, dnf5_transaction_hook)
#: Subject, expectation and next step of what a script could not do, by its step.
REFUSALS = {
    "settings": (
        "/etc/dnf/dnf.conf",
        "settings that dnf can read",
        "correct what is named on the host, then run again; nothing was changed",
    ),
    "database": (
        "rpm database",
        "one that dnf can read",
        "look at `rpm --query --all` on the host, and rebuild it (rpm --rebuilddb); nothing was changed",
    ),
    "resolve": (
        "dnf upgrade",
        "a transaction that dnf can resolve",
        "repair the package state on the host (dnf check), or exclude the package that is named",
    ),
    "fetch": (
        "dnf download",
        "packages that can be fetched and are what the repository's metadata says",
        "check the repository or mirror; nothing was installed",
    ),
}


def ask(host: Host, directory: str, asked: Dict[str, Any], script: Any = dnf_resolve_hook) -> Dict[str, Any]:
    """Run ``script`` on the first Python that has dnf's bindings, and return its answer.

    Raises:
        PatchingError: in the words of :data:`REFUSALS`; or there are no bindings.
    """
    for command, answer in commands(host, directory, asked, script):
        result = host.runner.run(command, timeout_s=3600 if "work" in asked else 900, check=False)
        found = read(answer, result.stderr)
        error = found.get("error")
        if error is None:
            return found
        if error["step"] != "bindings":
            raise refused(error)
    raise without_bindings(script)


def commands(host: Host, directory: str, asked: Dict[str, Any], script: Any) -> List[Tuple[List[str], str]]:
    """Write the scripts and the question; return the command of each Python, and the file of the answer."""
    question, answer = os.path.join(directory, "asked.json"), os.path.join(directory, "answer.json")
    for module in HOOKS:
        with open(os.path.join(directory, _name(module)), "w", encoding="utf-8") as handle:
            handle.write(source_of(module))
    with open(question, "w", encoding="utf-8") as handle:
        json.dump(dict(asked, answer=answer), handle)
    if os.path.exists(answer):
        os.unlink(answer)
    paths = [os.path.join(host.root, python) for python in PYTHONS]
    # -I: neither the environment nor the private directory adds modules.
    found = [([path, "-I", os.path.join(directory, _name(script)), question], answer) for path in paths]
    return [each for each in found if os.path.exists(each[0][0])]


def _name(module: Any) -> str:
    return "{}.py".format(module.__name__.rpartition(".")[2])


def read(path: str, explanation: str) -> Dict[str, Any]:
    """Return an answer, and remove its file.

    Raises:
        PatchingError: there is none; ``explanation`` is what the script said last.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            answer = json.loads(handle.read(MAX_ANSWER_BYTES))
        os.unlink(path)
        return dict(answer)
    except (OSError, ValueError) as error:
        last = explanation.strip().splitlines()[-1:] or [str(error)]
        raise PatchingError(
            "dnf",
            "its library gave no answer ({})".format(without_logins(last[0])[:300]),
            "a rpm database and a dnf that can be read",
            "look at `dnf --assumeno upgrade` on the host; nothing was changed",
        )


def refused(error: Dict[str, Any]) -> PatchingError:
    """Return what a script could not do as an error."""
    seen = " ".join(without_logins(error["seen"]).split())[:600] or "no reason given"
    if error["step"] == "refresh":
        return PatchingError(
            "repository {}".format(error["repository"] or "of this host"),
            seen,
            "metadata that can be fetched and is signed where dnf is set to check it",
            "repair or disable this repository in /etc/yum.repos.d, then run again; nothing was changed",
        )
    subject, expected, next_step = REFUSALS[error["step"]]
    return PatchingError(subject, seen, expected, next_step)


def without_bindings(script: Any) -> PatchingError:
    """Return the error of a host on which no Python can run ``script``."""
    of_dnf_5 = script in (dnf5_resolve_hook, dnf5_transaction_hook)
    package, version = ("python3-libdnf5", 5) if of_dnf_5 else ("python3-dnf", 4)
    return PatchingError(
        "dnf",
        "no system Python has dnf {}'s bindings".format(version),
        "dnf {} with its Python bindings ({})".format(version, package),
        "install {}, or look at the updates of this host by hand".format(package),
    )
