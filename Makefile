# Each command works on a fresh clone: what is missing is installed first, into .venv.
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help quickstart test check format bench experiments-quick clean
.DEFAULT_GOAL := help

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 28

quickstart: $(INSTALLED) ## plan, train and check a real network on four unequal boards
	$(BIN)/partage quickstart

test: $(INSTALLED) ## all tests; ARGS is given to pytest
	$(BIN)/python -m pytest $(ARGS)

check: $(INSTALLED) ## format, lint and types, as continuous integration sees them
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(INSTALLED) ## put the sources into shape
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(INSTALLED) ## measure the figures of the README, into results/bench/
	$(BIN)/python -m experiments.bench

experiments-quick: $(INSTALLED) ## every experiment in its short form
	$(BIN)/python -m experiments --quick-all

clean: ## remove what was installed and cached
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist partage.egg-info results/quick
	find experiments models solver tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@test -x $(BIN)/python || test -n "$(PYTHON)" || { echo 'partage needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'Installing into .venv; this takes a minute or two.'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,text]'
	@touch $@
