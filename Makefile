# SPDX-License-Identifier: GPL-3.0-or-later
# `make` says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

MANIFEST ?= manifests/kvm-amd64.yml
MANIFESTS ?= manifests/kvm-amd64.yml manifests/kvm-amd64-mbr.yml
PYTEST_ARGS ?=
ROUNDS ?= 3
python := .venv/bin/python

.PHONY: help
help: ## say what there is
	@echo "debfleet: Debian images, fleets of machines from them, and the archive rebuilt on those fleets"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "After make setup: source .venv/bin/activate, then ansible-playbook playbooks/…, or debfleet --help"

.PHONY: setup
setup: ## bring what debfleet needs: Debian packages, Python packages in .venv (again at any time)
	@scripts/setup

.PHONY: packages
packages: ## say what each Debian package is for
	@scripts/setup --list

.PHONY: image
image: setup ## build an image and boot it (MANIFEST=manifests/kvm-amd64.yml)
	@scripts/image "$(MANIFEST)"

.PHONY: images
images: setup ## build several images at once, sharing what they can (MANIFESTS="manifests/a.yml manifests/b.yml")
	@scripts/images $(MANIFESTS)

.PHONY: test
test: lint ## everything that CI does: lint, unit, integration and molecule tests
	@$(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: unit
unit: setup ## only the fast tests
	@$(python) -m pytest tests/unit $(PYTEST_ARGS)

.PHONY: molecule
molecule: setup ## only the roles' tests
	@$(python) -m pytest tests/integration/test_molecule.py $(PYTEST_ARGS)

.PHONY: test-builder-full
test-builder-full: setup ## build and boot every bootloader, firmware, map and root filesystem together (hours)
	@$(python) -m pytest -n 2 --dist load tests/integration/builder_table.py $(PYTEST_ARGS)

.PHONY: test-architectures-full
test-architectures-full: setup ## build and boot the manifests of every architecture, tell how far each comes (hours)
	@status=0; $(python) -m pytest -n 2 --dist load tests/integration/architectures_full.py $(PYTEST_ARGS) || \
	  status=$$?; $(python) -m debfleet.docs.architectures; exit $$status

.PHONY: test-reproducible
test-reproducible: setup ## build whole images twice, and see that they are the same, byte by byte (a quarter of an hour)
	@$(python) -m pytest tests/integration/reproducible_full.py $(PYTEST_ARGS)

.PHONY: test-foreign-full
test-foreign-full: setup ## build whole images natively and emulated, and see that they are the same (hours)
	@$(python) -m pytest tests/integration/foreign_full.py $(PYTEST_ARGS)

.PHONY: lint
lint: setup ## all linters and type checks
	@scripts/lint

.PHONY: format
format: setup ## bring the Python code into its form
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .

.PHONY: wheel
wheel: setup ## dist/debfleet-*.whl
	@$(python) -m build --no-isolation --wheel --outdir dist . >/dev/null && ls dist/*.whl

.PHONY: collection
collection: setup ## dist/debfleet-debfleet-*.tar.gz, modules, plugins and roles for your own playbooks
	@$(python) scripts/collection dist

.PHONY: completion
completion: setup ## print what completes debfleet's words in bash (or COMPLETE=zsh, fish)
	@.venv/bin/register-python-argcomplete --shell $(or $(COMPLETE),bash) debfleet

.PHONY: lock
lock: setup ## write requirements.lock anew from pyproject.toml
	@scripts/lock

.PHONY: bench-bootstrap
bench-bootstrap: setup ## measure trees beside plain mmdebstrap's, in turn (ROUNDS=3); best on a quiet machine
	@$(python) benchmarks/bootstrap.py $(ROUNDS)

.PHONY: bench-initramfs
bench-initramfs: setup ## measure an initramfs with a build's faster functions beside the image's own (ROUNDS=3)
	@$(python) benchmarks/initramfs.py $(ROUNDS)

.PHONY: bench-image
bench-image: setup ## measure builds, cold, warm and unchanged, beside the least by hand, and vmdb2 (ROUNDS=3)
	@$(python) benchmarks/image.py $(ROUNDS)

.PHONY: bench-image-arch
bench-image-arch: setup ## measure builds for other architectures beside this machine's own (ROUNDS=3)
	@$(python) benchmarks/image_arch.py $(ROUNDS)

.PHONY: clean
clean: ## remove what tests and tools left here; images in build/ stay
	@scripts/clean

.PHONY: uninstall
uninstall: ## remove .venv, caches and state; Debian packages stay, listed with the command
	@scripts/clean --all
