# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test's sanity tests on the collection, without containers and without touching the user's home.

Usage: sanity.py [--full]    --full adds pylint, and import and compile under every other Python of this machine.

ansible-test keeps environments and a bootstrap script of pip below HOME and fetches that script from a host of its own,
which many sites cannot reach. So HOME is a folder of this project, and the script is put there beforehand: it uses the
pip that Python itself carries.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = ROOT / "collections/ansible_collections/hospital/patching"
HOME = ROOT / ".cache/ansible-test"

BOOTSTRAP = '''"""Stands for get-pip.py: Python's own pip, then the version that ansible-test asks for."""
import ensurepip, os, subprocess, sys
environment = dict(os.environ)  # ensurepip turns pip's settings off
ensurepip.bootstrap()
wanted = [arg for arg in sys.argv[1:] if arg not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet"] + wanted, env=environment))
'''

# Name of a test → why it cannot run here. Everything else runs, or fails.
SKIPPED: dict[str, str] = {}

# Takes as long as all the others together; ruff, in the suite lint, asks most of what it asks.
WITH_FULL = ("pylint",)

# Modules under ansible-core 2.21 run on these; those that are missing on this machine are named.
HOST_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def write_bootstrap() -> None:
    """Put the bootstrap script where this version of ansible-test looks for it."""
    spec = find_spec("ansible_test")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("ansible-test is not in this environment: run `make env`.")
    source = Path(spec.submodule_search_locations[0]) / "_internal/python_requirements.py"
    cache = HOME / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"pip='([\d.]+)'", source.read_text(encoding="utf-8"))):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(BOOTSTRAP, encoding="utf-8")


def write_pip_settings() -> None:
    """Hand pip's settings over (a mirror, a certificate): ansible-test hides the user's home and environment."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    # global.index-url='https://…'; those of the environment begin with :env: and come last.
    found = dict(re.findall(r"^(?:global|install|:env:)\.([a-z-]+)=(.*)$", listed.stdout, re.MULTILINE))
    lines = [f"{name} = {ast.literal_eval(value)}".replace("\n", "\n    ") for name, value in found.items()]
    settings = HOME / ".config/pip/pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.touch(mode=0o600)  # the address of a mirror may hold a password
    settings.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")


def interpreter(version: str) -> str | None:
    """Return the path of Python ``version`` on this machine, or None."""
    found = subprocess.run([ROOT / "tools/find_python.sh", version], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def ansible_test(*arguments: str, path: str) -> int:
    """Run ``ansible-test sanity`` in the collection's folder and return its exit status."""
    environment = dict(os.environ, HOME=str(HOME), PATH=path)
    for name in ("ANSIBLE_CONFIG", "PYTHONPATH"):
        environment.pop(name, None)
    command = ["ansible-test", "sanity", "--color", "no", *arguments]
    return subprocess.run(command, cwd=COLLECTION, env=environment, check=False).returncode


def give_libraries(target: Sequence[str], path: str) -> int:
    """Let the import test of the controller's plugins find the libraries that this project depends on.

    ansible-test imports plugins in environments that hold ansible-core's own requirements and nothing else.
    """
    environments = HOME / ".ansible/test/venv/sanity.import.plugin"
    if status := ansible_test("--prime-venvs", "--test", "import", *target, path=path):
        return status
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    libraries = [name for name in project["dependencies"] if not name.startswith("ansible")]
    for marker in environments.glob("*/*/marker.txt"):
        stamp = marker.with_name("libraries.txt")
        if not stamp.exists() or stamp.stat().st_mtime < (ROOT / "requirements.lock").stat().st_mtime:
            python = str(marker.with_name("bin") / "python")
            command = [str(ROOT / ".venv/bin/uv"), "pip", "install", "--quiet", "--python", str(python)]
            command += ["--constraint", "requirements.lock", *libraries]
            subprocess.run(command, cwd=ROOT, check=True)
            stamp.touch()
    return 0


def main() -> int:
    """Run the controller's tests, then with --full those of the hosts' Pythons."""
    full = "--full" in sys.argv[1:]
    write_bootstrap()
    write_pip_settings()
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    left_out = SKIPPED if full else SKIPPED | dict.fromkeys(WITH_FULL, "runs with --full")
    for name, reason in left_out.items():
        print(f"not run: {name}: {reason}", flush=True)
    skips = [word for name in left_out for word in ("--skip-test", name)]
    target = ["--local", "--python", own]
    status = give_libraries(target, path) or ansible_test(*target, *skips, path=path)

    if full:
        found = {version: interpreter(version) for version in HOST_PYTHONS if version != own}
        for version in [version for version, binary in found.items() if binary is None]:
            print(f"not run: import and compile under Python {version}: this machine has none")
            del found[version]
        path = ":".join([path, *(str(Path(binary).parent) for binary in found.values() if binary)])
        target = ["--controller", f"origin:python={own}"]
        target += [word for version in found for word in ("--target-python", version)]
        status |= give_libraries(target, path) or ansible_test(
            "--test", "import", "--test", "compile", *target, path=path
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
