# ingestd: what a developer does, each in one word. `make` alone says what there is.
#
# Everything lives in .venv, made on first use and brought up to date when setup.cfg changes. Debian packages
# that are missing are installed when run as root; otherwise the line to run is printed. Nothing asks questions.

PYTHON ?= python3
CONFIG ?= conf/ingestd.toml
ARGS ?=
FORMAT ?=
RUNS ?= 20000
PREFIX ?= /usr/local
DESTDIR ?=

KERNELS := $(wildcard formats/kernel/*.p[yx][xd])

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Where bytecode may not be kept, each of the hundreds of daemons of a test run would compile all its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test chaos lint fuzz sanitize bench demo man clean install-service uninstall-service test-commands

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'PYTHON=python3.12 names the interpreter of a new .venv; ARGS="…" is added to the command that is run.'

run: .venv/.installed certs/server.crt ## start the daemon on conf/ingestd.toml (CONFIG=…), with certificates if none are there
	@exec .venv/bin/ingestd run -c $(CONFIG) $(ARGS)

test: .venv/.installed-test test-commands ## run the tests
	.venv/bin/pytest --numprocesses=4 --dist=worksteal $(ARGS)

chaos: .venv/.installed-test test-commands ## run the long rounds of faults under load
	.venv/bin/pytest -m chaos $(ARGS)

lint: .venv/.installed-lint ## check style, types and layering
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

fuzz: .venv/.installed-fuzz ## look for input that breaks a format (FORMAT=… RUNS=…; all formats if none is named)
	.venv/bin/python -m tests.fuzz.fuzz_format --runs $(RUNS) $(FORMAT) $(ARGS)

sanitize: .venv/.installed-test ## run the tests of the formats with their kernels under AddressSanitizer (five minutes)
	@tools/sanitize.sh $(ARGS)

bench: .venv/.installed-bench ## measure speed and memory
	.venv/bin/python -m benchmarks $(ARGS)

demo: .venv/.installed ## run daemon and loadgen together for ten seconds and verify what was stored
	@tools/demo.sh $(ARGS)

man: .venv/.installed ## make the manual pages, in build/man
	@.venv/bin/python -m ingestd.manual build/man

install-service: ## install as a systemd service, or upgrade it (as root; PREFIX=/usr/local DESTDIR= PYTHON=python3)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' PYTHON='$(PYTHON)' systemd/install.sh install

uninstall-service: ## remove the service; keep its data, configuration and user
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' systemd/install.sh uninstall

clean: ## remove .venv and caches; keep data, state and certs
	rm -f formats/kernel/*.so
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

certs/server.crt: | .venv/.installed
	.venv/bin/ingestd certs certs

# One stamp per extra of setup.cfg, inside .venv so that they go with it.
.venv/.installed: setup.cfg pyproject.toml setup.py $(KERNELS) | .venv/bin/python
	@$(ensure_compiler)
	.venv/bin/python -m pip install --quiet --editable .
	@touch $@

.venv/.installed-%: setup.cfg pyproject.toml setup.py $(KERNELS) | .venv/bin/python
	@$(ensure_compiler)
	.venv/bin/python -m pip install --quiet --editable '.[$*]'
	@touch $@ .venv/.installed

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'make: $(PYTHON) is not a Python 3.11 or later; name one with PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		$(call apt_install,$$package); }
	$(PYTHON) -m venv --clear .venv

# Commands that tests call, with their Debian packages. A test that misses one skips and says so.
test-commands:
	@missing=; \
	for pair in zstd:zstd openssl:openssl logger:bsdutils; do \
		command -v $${pair%:*} >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	if [ -n "$$missing" ]; then ($(call apt_install,$$missing)) || echo 'make: some tests will be skipped' >&2; fi
	@command -v chromium >/dev/null || ($(call apt_install,chromium fonts-inter)) \
		|| echo 'make: no chromium; the tests of the dashboard will be skipped' >&2
	@command -v promtool >/dev/null || ($(extract_promtool)) \
		|| echo 'make: no promtool (Debian package prometheus); its test will be skipped' >&2
	@[ .venv/debian/.unpacked -nt tests/packages.txt ] || ($(unpack_packages)) \
		|| echo 'make: cannot download the Debian packages of tests/packages.txt; tests with them will be skipped' >&2

# $(call apt_install,PACKAGES), in a shell
apt_install = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1); } </dev/null; \
	else \
		echo "make: missing Debian packages; run: sudo apt-get install" $(1) >&2; exit 1; \
	fi

# What compiles the kernels of formats/kernel. Without it all works, slower.
ensure_compiler = { command -v cc && $(PYTHON) -c 'import pathlib, sys, sysconfig; \
		sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file())'; } >/dev/null \
		|| ($(call apt_install,gcc libc6-dev python3-dev)) \
		|| echo 'make: no C compiler, or no headers of Python: the formats will take twice the CPU' >&2

# $(call apt_download,PACKAGES), into the working directory, the lists of apt brought up to date if need be
apt_get_download = apt-get -qq -o APT::Sandbox::User=root download $(1) 2>/dev/null
apt_download = { $(apt_get_download) || { [ "$$(id -u)" = 0 ] && apt-get update -qq && $(apt_get_download); }; }

# Only the one program out of the package: installing that would leave a Prometheus server running here.
extract_promtool = folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && bin=$$PWD/.venv/bin && cd "$$folder" && \
	$(call apt_download,prometheus) && \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x -C "$$bin" --strip-components=3 ./usr/bin/promtool

# Unpacked beside the place and moved there whole. Where a release lacks one of the packages, the others come one by one.
unpack_packages = rm -rf .venv/debian .venv/debian.new && mkdir -p .venv/debian.new/packages && \
	packages=$$(sed 's/\#.*//' tests/packages.txt) && cd .venv/debian.new/packages && \
	{ $(call apt_download,$$packages) || for package in $$packages; do $(call apt_get_download,$$package); done; \
	for package in *.deb; do dpkg-deb -x "$$package" .. || exit 1; done; } && \
	cd ../.. && rm -rf debian.new/packages && touch debian.new/.unpacked && mv debian.new debian
