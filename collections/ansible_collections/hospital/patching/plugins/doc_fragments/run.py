# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that every step of a run on a host shares; their specs are in module_utils/arguments.py."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  run_id:
    description:
      - Id of the run, which is the id of the plan that it executes.
    type: str
    required: true
  state_dir:
    description:
      - Directory on the host that keeps the journal, the stages and the preserved packages.
    type: path
    default: /var/lib/hospital-patching
  step:
    description:
      - Name of the journey's step that this call is.
      - With O(evidence_dir) given too, the action plugin mirrors the result in the run's ledger; the module itself
        does not use it.
    type: str
  evidence_dir:
    description:
      - Directory on the controller that keeps the run's ledger. The module itself does not use it.
    type: path
"""

    # The same for a module that also works outside a run.
    STEP = r"""
options:
  run_id:
    description:
      - Id of the run, when the call is a step of one.
    type: str
  step:
    description:
      - Name of the journey's step that this call is.
      - With O(run_id) and O(evidence_dir) given too, the action plugin mirrors the result in the run's ledger; the
        module itself does not use it.
    type: str
  evidence_dir:
    description:
      - Directory on the controller that keeps the run's ledger. The module itself does not use it.
    type: path
"""

    # Which package manager is driven.
    MANAGER = r"""
options:
  manager:
    description:
      - The package manager; V(auto) takes the first that runs the host.
      - Where a transaction is given, V(auto) is the one that resolved it, and another is refused.
      - Name it on a host that has several installed.
    type: str
    choices: [auto, apt, zypper, dnf, dnf5]
    default: auto
"""

    # What is to be done to the host, as update_stage returned it.
    TRANSACTION = r"""
options:
  transaction:
    description:
      - What the host does within its manifest, as M(hospital.patching.update_stage) returned it.
      - It is refused when its content does not have the digest that it carries.
    type: dict
    required: true
"""

    # Which part of the transaction is meant.
    NAMES = r"""
options:
  names:
    description:
      - Only these packages of O(transaction); empty means all of it.
      - A name that is not in it is refused.
    type: list
    elements: str
    default: []
"""

    # Limits of the modules that run the package manager in the window.
    LIMITS = r"""
options:
  lock_timeout_s:
    description: How long to wait for a package database that another process holds.
    type: int
    default: 600
  timeout_s:
    description: How long the package manager may take before it is stopped.
    type: int
    default: 3600
"""

    # Which end of the transaction the host is compared with.
    EXPECT = r"""
options:
  expect:
    description:
      - V(to) compares with the transaction's targets.
      - V(from) compares with the versions that it replaces, before an installation or after the way back.
    type: str
    choices: [to, from]
    default: to
"""
