# lanner: everything a developer or a first user runs. `make help` lists it.

SHELL := /bin/bash
# Rust that setup has just installed is found here.
export PATH := $(PATH):$(HOME)/.cargo/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run build test check vmtest vmservice cluster compat demo bench memory fuzz soak soak-idle package image

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 16

run: build ## Install what is missing, build, and watch this host
	@exec $(TARGET)/release/lanner run

build: ## Install what is missing and build the release executable
	@scripts/setup.sh
	cargo build --release -p lanner

package: ## Make the Debian package and the archive
	@scripts/setup.sh --package
	@scripts/package.sh

image: ## Build the container images
	@scripts/setup.sh --image
	@scripts/image.sh

test: ## Run all tests; closes with `N passed, N failed, N skipped`
	@scripts/setup.sh --test
	@scripts/test.sh

check: ## Formatting, lints, licences, shell scripts, warnings of the eBPF programs
	@scripts/setup.sh --check
	@scripts/check.sh

vmtest: ## Run the probe's tests under Debian's stock kernels, in QEMU
	@scripts/setup.sh --vm
	@scripts/vmtest.sh

vmservice: ## Install the package in a Debian with systemd, in QEMU, and use its service
	@scripts/setup.sh --package --vm
	@scripts/vmservice.sh

cluster: build ## Run a real Kubernetes of one node here, with lanner in it, and do the tutorial
	@scripts/setup.sh --test --image --cluster
	@scripts/cluster.sh --bin $(TARGET)/release/lanner

compat: ## Compare with what Falco answered, where ../shared/compat exists
	@scripts/setup.sh
	@scripts/compat.sh

demo: build ## Do the tutorial's attacks in real containers while lanner watches
	@scripts/setup.sh --test
	cargo run --quiet -p lanner-testbed --example tutorial -- $(TARGET)/release/lanner

bench: ## Run the benchmarks
	@scripts/setup.sh
	cargo build --release -p lanner
	cargo run --quiet --release -p lanner-bench -- --bin $(TARGET)/release/lanner

memory: ## Replay a capture of a million short processes, which must not grow
	LANNER_PROCESSES=1000000 cargo test --release -p lanner --test lanner short_processes

soak: build ## Storm it for SOAK_SECONDS (600) while rules, outputs, files and containers change
	@scripts/setup.sh --test
	cargo run --quiet -p lanner-testbed --example soak -- $(TARGET)/release/lanner

soak-idle: ## Ten minutes of rest and a whole build must raise nothing, attacks afterwards their alerts
	@scripts/setup.sh --test
	@scripts/soak-idle.sh

fuzz: ## Run each fuzz target (or FUZZ_TARGETS="capture event") for FUZZ_SECONDS (60)
	@scripts/fuzz.sh
