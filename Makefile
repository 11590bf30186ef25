# Needs Python 3.11 or newer and make; everything else goes into .venv.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DOCS_INSTALLED := $(VENV)/installed-for-docs
ARGS ?=

# The first of these that is new enough; PYTHON=/path/to/python names another.
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python $(NEW_ENOUGH) 2>/dev/null; then echo $$python; break; fi; done)
endif

.PHONY: help demo test browser services lint messages docs clean

help:
	@echo "make demo      tell the whole story against the sandbox, then serve the site (ARGS=--no-serve: don't)"
	@echo "make test      the tests, but those that are slow or need a browser"
	@echo "make browser   the tests that click through pages (need Debian's chromium package)"
	@echo "make services  the tests with workers of their own (need Redis, RabbitMQ and PostgreSQL on this machine)"
	@echo "make lint      ruff, mypy and the import rules"
	@echo "make messages  the translations brought up to date with the texts in the code, and compiled"
	@echo "make docs      the documentation, in docs/_build/html"
	@echo "make clean     remove $(VENV), what was built, and the example site's databases"

$(INSTALLED): tests/requirements.txt pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) $(NEW_ENOUGH) 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and $(if $(PYTHON),$(PYTHON) isn't,none was found)." \
			"Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) can't make virtual environments: on Debian and Ubuntu, install its -venv package" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt -e '.[example]'
	@touch $@

$(DOCS_INSTALLED): docs/requirements.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@touch $@

demo: $(INSTALLED)
	$(BIN)/python manage.py truss_demo $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 3 -m "not browser and not slow and not services" $(ARGS)

browser: $(INSTALLED)
	$(BIN)/python -m pytest -m browser $(ARGS)

services: $(INSTALLED)
	TEST_DATABASE=postgresql $(BIN)/python -m pytest -n 2 -m services $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

messages: $(INSTALLED)
	$(BIN)/python -m tests.messages

docs: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) build dist docs/_build staticfiles .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage*
	rm -f db.sqlite3 db.sqlite3-* sandbox.sqlite3 sandbox.sqlite3-*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
