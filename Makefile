# Needs Python 3.11 to 3.13, git and make; everything else goes into .venv.
PYTHON ?= python3
# Processes of the tests: one more than there are cores, since many wait for processes of their own.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Of the slow tests, some of which hold gigabytes.
SLOW_JOBS ?= 2
DEMO ?= runs/demo

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
PACKAGES := harness problems methods reports
PIP_INSTALL := -m pip install --quiet --quiet --disable-pip-version-check
EDITABLE := --no-build-isolation --config-settings editable_mode=strict

.PHONY: help install demo test test-slow bench lint types test-oldest FORCE

help: ## Show the targets
	@grep -E '^[a-z-]+:.* ## ' Makefile | sed -E 's/^([a-z-]+):.* ## /\1\t/' | expand -t 14

install: $(VENV)/.linked ## Put the package and its development tools into .venv; does nothing when nothing changed

# The dependencies: only pyproject.toml and the pins decide them.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "installing the pinned dependencies into $(VENV) (minutes the first time)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt setuptools
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e '.[dev]' $(EDITABLE)
	@rm -f $(VENV)/.linked
	@touch $@

# The names of the package's files, rewritten only when one was added or removed, or when the links are gone.
$(VENV)/.files: FORCE | $(VENV)/.installed
	@compgen -G 'build/__editable__.*' >/dev/null || rm -f $@
	@find $(PACKAGES) -type f ! -name '*.pyc' ! -name '.*' ! -name '*~' ! -path '*/.*' | LC_ALL=C sort > $@.now
	@if cmp -s $@.now $@; then rm $@.now; else mv $@.now $@; fi

# A strict editable install is a tree of links under build/, emptied and made again here; edits need nothing.
$(VENV)/.linked: $(VENV)/.installed $(VENV)/.files
	@echo "linking the package's files"
	@$(BIN)/python $(PIP_INSTALL) --no-deps -e . $(EDITABLE)
	@touch $@

FORCE:

demo: install ## Run the quick suite into runs/demo and print where its report is
	@$(BIN)/hessbench run quick --out $(DEMO)

# Types are checked beside the tests; what they find is shown where it is wrong, so that pytest has the last line.
test: lint ## Check style and types and run the fast tests
	@$(BIN)/basedpyright > $(VENV)/.types 2>&1 & types=$$!; \
	status=0; $(BIN)/pytest -q -n $(JOBS) --benchmark-disable -m "not slow" tests || status=$$?; \
	wait $$types || { cat $(VENV)/.types; status=1; }; \
	exit $$status

test-slow: install ## Run the slow tests: statistics, asv, the built wheel
	@$(BIN)/pytest -q -m slow tests/bench # ratios of times, alone on the machine
	@$(BIN)/pytest -q -n $(SLOW_JOBS) -m slow --ignore tests/bench tests

bench: install ## Time products and the cost of counting
	@$(BIN)/pytest -q --benchmark-only tests/bench

lint: install ## Check style and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo "style: clean"

types: install ## Check types
	@$(BIN)/basedpyright

test-oldest: ## Run the fast tests on the oldest versions accepted, in .venv-oldest (downloads another torch)
	@$(OLDEST)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/python $(PIP_INSTALL) -c constraints-oldest.txt setuptools torch numpy
	@$(OLDEST)/bin/python $(PIP_INSTALL) -c constraints-oldest.txt -e '.[dev]' $(EDITABLE)
	@$(OLDEST)/bin/pytest -q -n $(JOBS) --benchmark-disable -m "not slow" tests
