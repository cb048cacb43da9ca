# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's playbooks call: `python -m hospital_lab COMMAND JSON`.

Prints one JSON object: whether anything changed, and what the command made.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hospital_lab import hosts, images, keys, packages, repository, rpm_repository
from hospital_lab.engine import Engine
from hospital_lab.errors import LabError
from hospital_lab.places import Places, from_environment


def prepare(places: Places, options: dict[str, Any]) -> dict[str, Any]:
    """Settings, networks and keys. Options: networks {name: subnet}, addresses {host: address}."""
    changed = Engine(places).prepare(options["networks"])
    changed |= keys.prepare(places)
    for host, address in options["addresses"].items():
        changed |= keys.prepare_host(places, host, address)
    keys.write_known_hosts(places, options["addresses"])
    return {"changed": changed}


def build_base(places: Places, options: dict[str, Any]) -> dict[str, Any]:
    """The base image. Options: rootfs."""
    image, built = images.build_base(Engine(places), Path(options["rootfs"]))
    return {"changed": built, "image": image}


def publish_packages(places: Places, options: dict[str, Any]) -> dict[str, Any]:
    """The hospital's repository as a new lab has it. Options: source, anew (whatever a test has published since)."""
    source = Path(options["source"])
    installed = packages.build(source, places.packages, repository.INITIAL[0])
    changed = repository.publish_initially(places, source, anew=options["anew"])
    changed |= rpm_repository.publish(places)
    return {"changed": changed, "installed": str(installed)}


def start_host(places: Places, options: dict[str, Any]) -> dict[str, Any]:
    """Build a host's image where needed, and start it. Options: image, context, files, and those of HostSpec."""
    engine = Engine(places)
    context, files = Path(options.pop("context")), {name: Path(path) for name, path in options.pop("files").items()}
    image, built = images.build_application(engine, options["image"], context, files)
    names = {name: address for name, address in options["names"].items() if name != options["name"]}
    spec = hosts.HostSpec(**(options | {"image": image, "names": names}))
    started = hosts.ensure_started(engine, spec)
    return {"changed": built or started, "image": image, "started": started}


def show_packages(places: Places, options: dict[str, Any]) -> dict[str, Any]:
    """Let hosts that have not yet, see what the hospital's repository offers. Options: hosts."""
    return {"changed": hosts.refresh_hospital_packages(Engine(places), options["hosts"], only_where_unknown=True)}


def reset_hosts(places: Places, options: dict[str, Any]) -> dict[str, Any]:
    """Start hosts anew from their images. Options: hosts."""
    hosts.reset(Engine(places), options["hosts"])
    return {"changed": bool(options["hosts"])}


def take_down(places: Places, options: dict[str, Any]) -> dict[str, Any]:
    """Remove the lab's containers and networks. Options: purge (images, keys and the folder too)."""
    engine = Engine(places)
    changed = engine.remove_all_containers()
    changed |= engine.remove_networks()
    purged = options["purge"] and places.lab_dir.exists()
    if purged:
        if places.engine.exists():
            engine.podman("rmi", "--all", "--force", check=False)
        engine.unmount_store()
        shutil.rmtree(places.lab_dir)
    return {"changed": changed or purged}


COMMANDS: dict[str, Callable[[Places, dict[str, Any]], dict[str, Any]]] = {
    "prepare": prepare,
    "build-base": build_base,
    "publish-packages": publish_packages,
    "start-host": start_host,
    "show-packages": show_packages,
    "reset-hosts": reset_hosts,
    "take-down": take_down,
}


def main(arguments: list[str]) -> int:
    """Run one command; 1 and one sentence on stderr when it cannot be done."""
    try:
        result = COMMANDS[arguments[0]](from_environment(), json.loads(arguments[1]))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
