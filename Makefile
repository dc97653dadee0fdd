# make run starts the studio, make test runs every test, make attack the long rounds of some.
# README.md says what they read from the environment.

.PHONY: run test attack lint bench clean browser wrk env dev
.DEFAULT_GOAL := run

PY := .venv/bin/python
# Starting and stopping servers is waiting: three processes keep two cores busy.
PYTEST := $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
# Two that start together must not install into one environment at the same time.
ALONE := $(if $(shell command -v flock),flock Makefile)
MAKE_QUIETLY := $(MAKE) --silent --no-print-directory
BROWSER_PACKAGES := chromium fonts-noto-cjk fonts-noto-color-emoji
# What a production installation sets, with addresses where nothing listens.
PRODUCTION := DEBUG=0 PUBLIC_URL=https://studio.example.com DATA_DIR=.venv/lint \
	DATABASE_URL=postgresql://studio:none@127.0.0.1:9/studio \
	SECRET_KEY=only-for-the-checks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG

run: env
	@exec $(PY) manage.py serve

test: browser dev
	@exec $(PYTEST) $(ARGS)

attack: browser dev
	@ATTACK=1 exec $(PYTEST) -m attack $(ARGS)

lint: dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	@$(PRODUCTION) sh -ec 'set -x; \
	$(PY) -m mypy studio memory; \
	$(PY) -W ignore manage.py makemigrations --check --dry-run; \
	$(PY) manage.py check --deploy --fail-level WARNING'
	.venv/bin/djangofmt --profile jinja --indent-width 2 --check templates
	.venv/bin/djangofmt check --profile jinja templates
	$(PY) -m bandit --quiet --recursive --severity-level medium studio memory

bench: dev wrk
	@exec $(PY) -m tests.bench $(ARGS)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

env:
	@$(ALONE) $(MAKE_QUIETLY) .venv/.env

dev:
	@$(ALONE) $(MAKE_QUIETLY) .venv/.dev

.venv/.env: requirements.txt $(PY)
	@echo "Installing what the studio needs ..."
	@$(PIP) -r requirements.txt
	@touch $@

.venv/.dev: requirements.txt requirements-dev.txt $(PY)
	@echo "Installing what the tests need ..."
	@$(PIP) -r requirements-dev.txt
	@touch .venv/.env $@

$(PY):
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python -m venv --clear .venv; \
		fi; \
	done; \
	echo "The studio needs Python 3.11 or newer with its venv module; here is" \
		"$$( (python3 --version || echo no python3) 2>/dev/null). On Debian and Ubuntu:" \
		"apt-get install python3 python3-venv; or name another one: make run PYTHON=/path/to/python3" >&2; \
	exit 1

browser:
	@if command -v chromium >/dev/null && fc-list 2>/dev/null | grep -q NotoSansCJK && fc-list | grep -q NotoColorEmoji; then \
		exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the tests ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $(BROWSER_PACKAGES) >/dev/null; \
	else \
		echo "The tests need Chromium and fonts. As root: apt-get install $(BROWSER_PACKAGES)" >&2; \
		exit 1; \
	fi

# Without it the benchmark asks by threads of its own, which are slower than what they measure.
wrk:
	@if ! command -v wrk >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing wrk for the benchmark ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y wrk >/dev/null || true; \
	fi
