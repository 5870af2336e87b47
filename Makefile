# Every command of the project, in one place. A bare Debian 12 with Rust, gcc and make is enough:
# the first target that needs more installs it (apt through root or sudo; the rest into .tools/).

.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-build run test check fmt fmt-check clippy doc deny advisories bench fuzz soak conformance mutants update deploy-check clean

CARGO ?= cargo
TOOLS := $(CURDIR)/.tools
# Tools installed by `make setup` come first; nothing outside this folder is changed but by apt.
export PATH := $(TOOLS)/bin:$(PATH)

DENY_VERSION := 0.20.2
# How long `make fuzz` runs each target, and how many inputs it gives each property test.
FUZZ_SECONDS ?= 60
PROPTEST_CASES ?= 20000

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## install what building and testing need
	scripts/setup.sh test

setup-build:
	scripts/setup.sh build

run: setup-build ## build and run the demo: gateway.example.yaml, a demo app and a demo issuer
	$(CARGO) run -q --locked -p portcullis -- demo

test: setup ## all tests, end-to-end ones included
	$(CARGO) test --workspace --locked

check: setup-build fmt-check clippy doc deny ## formatting, lints, docs, licences

fmt: ## format all code
	$(CARGO) fmt --all

fmt-check:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

# Built without optimisation or debug information: under a minute, and it only runs for seconds.
$(TOOLS)/bin/cargo-deny:
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --debug --root $(TOOLS)

deny: $(TOOLS)/bin/cargo-deny
	cargo-deny --locked check licenses bans sources

advisories: $(TOOLS)/bin/cargo-deny ## RustSec advisories against the lock file (needs the network)
	cargo-deny --locked check advisories

bench: setup-build ## criterion benchmarks and allocation counts
	$(CARGO) bench --locked -p portcullis
	$(CARGO) test --locked -p portcullis --test allocations

fuzz: setup-build ## fuzz targets, and property tests with many inputs
	for target in fuzz/fuzz_targets/*.rs; do \
	    fuzz/run.sh "$$(basename "$$target" .rs)" -max_total_time=$(FUZZ_SECONDS); \
	done
	PROPTEST_CASES=$(PROPTEST_CASES) $(CARGO) test --workspace --lib --bins --locked

soak: setup ## 5,000 trickling clients against the real binary
	$(CARGO) test --locked -p portcullis --test e2e -- --ignored --nocapture tricklers

mutants: setup ## break the code in known ways; every break must fail a test
	mutants/run.sh

conformance: ## score the gateway and others on malformed requests, into docs/conformance.md
	scripts/setup.sh conformance
	mkdir -p target/conformance
	$(CARGO) build -q --release --locked -p portcullis
	$(CARGO) run -q --locked -p portcullis-testkit --bin conformance -- \
	    "$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/portcullis" $(CURDIR)/target/conformance

update: setup ## regenerate docs/schema.json, the lists in docs/ and the CLI help
	scripts/update-docs.py

deploy-check: setup ## check deploy/ with systemd-analyze, kubernetes-validate and promtool
	scripts/check-deploy.sh

clean: ## remove what was built
	$(CARGO) clean
	rm -rf .tools
