# SPDX-License-Identifier: GPL-3.0-or-later
# Every target installs what it needs and can be run again. `make help` lists them.

MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PLAYBOOK := ansible-playbook -i inventories/lab/hosts.yml

.DEFAULT_GOAL := help
.PHONY: help env system browser servers lab lab-down demo test test-full lint types unit report probes snapshots vcenter hypervisor unit36 sanity docs molecule system-tests continuity vm bench explore lock clean

help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

env: ## Python packages into .venv, as locked
	@tools/make_env.sh

system: ## System packages, with apt-get
	@tools/system_packages.sh

browser:
	@tools/system_packages.sh chromium

servers:
	@tools/server_packages.sh

hypervisor:
	@tools/hypervisor_packages.sh

vcenter:
	@tools/vcenter_simulator.sh

lab: system env ## Build and start the lab hospital (root)
	@.venv/bin/$(PLAYBOOK) playbooks/lab_up.yml

lab-down: system env ## Stop and remove the lab hospital
	@.venv/bin/$(PLAYBOOK) playbooks/lab_down.yml

demo: export PYTHONPATH := $(CURDIR)/collections
demo: lab ## One patch night on the lab hospital
	@.venv/bin/python -m tests.demo.demo

test: system browser servers vcenter env ## Every test, with seconds per suite
	@tools/system_packages.sh snapper
	@.venv/bin/python tools/run_suites.py

test-full: system browser servers vcenter hypervisor env ## Every test, the slow ones as well
	@tools/system_packages.sh qemu-system-x86 snapper
	@.venv/bin/python tools/run_suites.py --full

lint: env ## ruff, yamllint, ansible-lint, shellcheck
	@tools/system_packages.sh git shellcheck
	@.venv/bin/python tools/run_suites.py lint ansible-lint

types: env ## mypy
	@.venv/bin/python tools/run_suites.py types

unit: env ## Unit tests
	@.venv/bin/python tools/run_suites.py unit

report: browser env ## The report's page in headless Chromium, with screenshots
	@.venv/bin/python tools/run_suites.py report

probes: servers env ## Health probes against real servers on loopback
	@.venv/bin/python tools/run_suites.py probes

snapshots: system vcenter hypervisor env ## Restore points of every provider, with a table of seconds
	@tools/system_packages.sh qemu-system-x86
	@.venv/bin/python tools/run_suites.py --full snapshots

unit36: env ## What travels to hosts, under Python 3.6
	@.venv/bin/python tools/run_suites.py unit36

sanity: env ## ansible-test sanity
	@.venv/bin/python tools/run_suites.py sanity

docs: env ## The collection's documentation and changelog
	@.venv/bin/python tools/run_suites.py docs

molecule: lab ## One scenario a role
	@.venv/bin/python tools/run_suites.py molecule

system-tests: lab ## The whole system, driven through ansible-runner
	@.venv/bin/python tools/run_suites.py inventory night plan exact way_back killed

continuity: lab ## The lab grown into a small hospital: redundant services patched under clinical load
	@.venv/bin/python tools/run_suites.py --full continuity

vm: env ## A virtual machine with a root on LVM: restore points, a real kernel update, reboots
	@tools/system_packages.sh mmdebstrap qemu-system-x86
	@.venv/bin/python tools/run_suites.py vm

bench: export PYTHONPATH := $(CURDIR)/collections
bench: env ## Benchmarks; with the lab up, the window as well
	@tools/system_packages.sh python3-apt
	@.venv/bin/python -m tests.bench.run

explore: export PYTHONPATH := $(CURDIR)/collections
explore: env ## Every interleaving of runs that want hosts of one service
	@.venv/bin/python -m tests.explore

lock: env ## Newest dependencies into requirements.lock
	@.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command 'make lock' --group dev --output-file requirements.lock pyproject.toml

clean: ## Remove environments and caches
	rm -rf .venv .venv36 .venv216 .cache .ansible .pytest_cache .ruff_cache .hypothesis
