# trustlog: `make demo` shows it, `make test` proves it, `make && make install` installs it.

PG_MAJOR ?= 15
export PG_MAJOR

# Each cluster test has a PostgreSQL server of its own: more than four at a time gain little.
TEST_THREADS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))

.DEFAULT_GOAL := build
.NOTPARALLEL:
.PHONY: build install demo bench test test-unit test-pg test-cluster lint setup clean help

help: ## Shows this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo
	@echo "  PG_CONFIG=…   for build and install: the pg_config of the PostgreSQL to install into"
	@echo "  PG_MAJOR=$(PG_MAJOR)   the PostgreSQL version otherwise"
	@echo
	@echo "  Tests and demo use private copies of PostgreSQL; only 'make install' changes the system's."

build: ## Builds the extension for release (what 'make' alone does)
	@scripts/package

install: ## Builds it and installs it (PG_CONFIG=, DESTDIR=); a server that has it loaded needs a restart
	@scripts/install

demo: setup ## Shows everything on a private server, from nothing
	@./demo/run

bench: setup ## Measures it on a private server
	@./bench/run

test: test-unit test-pg test-cluster ## Runs all tests, from nothing

test-unit: setup ## Tests of the pure parts: no PostgreSQL
	@date '+== %T Tests of the pure parts'
	cargo test -p trustlog-core

test-pg: setup ## Tests inside a server's backend
	@date '+== %T Tests inside a backend'
	@scripts/test-pg

test-cluster: setup ## Client tests on real clusters: workers, crashes, standbys, golden files
	@date '+== %T Tests on real clusters'
	@scripts/install-private dev
	scripts/with-env cargo test -p trustlog-tests --no-fail-fast -- --test-threads=$(TEST_THREADS)

lint: setup ## Formatting, clippy, where unsafe code may be, shell scripts
	@scripts/lint

setup: ## Installs the Debian packages and cargo-pgrx, where missing
	@scripts/setup

clean: ## Removes all that was built, the private copies and their servers
	@scripts/clean
