# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps its things: one folder outside the clone."""

import os
from pathlib import Path

DEFAULT_LAB_DIR = "/var/lib/hospital-patching-lab"
CONTAINER_PREFIX = "hplab-"


class Places:
    """The paths inside the lab's folder."""

    def __init__(self, lab_dir: Path, other_images: Path | None = None) -> None:
        self.lab_dir = lab_dir
        #: Another lab's image store, from which images are taken that are there already.
        self.other_images = other_images
        self.engine = lab_dir / "podman"
        self.containers_conf = lab_dir / "containers.conf"
        self.storage = lab_dir / "storage"
        self.run = lab_dir / "run"
        self.networks = lab_dir / "networks"
        self.ssh = lab_dir / "ssh"
        self.private_key = self.ssh / "id_ed25519"
        self.known_hosts = self.ssh / "known_hosts"
        self.ca_certificate = lab_dir / "ca.pem"
        self.ca_key = lab_dir / "ca.key"
        self.signing_key = lab_dir / "package-signing.key"
        self.signing_certificate = lab_dir / "package-signing.gpg"
        self.hosts = lab_dir / "hosts"
        self.build = lab_dir / "build"
        self.packages = lab_dir / "packages"
        self.repository = lab_dir / "repository"
        self.rpm = lab_dir / "rpm"
        self.rpm_installed = self.rpm / "installed.tar"
        self.rpm_public_key = self.rpm / "RPM-GPG-KEY-hospital"

    def identity(self, host: str) -> Path:
        """The folder a host sees as /etc/hospital-lab: its keys and certificates."""
        return self.hosts / host / "identity"

    def spec(self, host: str) -> Path:
        """How the host's container is started, so that it can be reset without Ansible."""
        return self.hosts / host / "spec.json"

    def records(self, host: str) -> Path:
        """The folder a device writes its connection records to."""
        return self.hosts / host / "records"


def from_environment() -> Places:
    """The lab that HOSPITAL_LAB_DIR names, or the usual one; it may share the images of HOSPITAL_LAB_IMAGES_OF."""
    lab, other = (os.environ.get(name) for name in ("HOSPITAL_LAB_DIR", "HOSPITAL_LAB_IMAGES_OF"))
    return Places(Path(lab or DEFAULT_LAB_DIR), Places(Path(other)).storage if other else None)
