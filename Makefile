# `make help` lists the targets. Everything is built once, in release: kernels and tests are only worth
# measuring as users run them.

SWIFT ?= swift
CRUMB := .build/release/crumb

.DEFAULT_GOAL := help
.PHONY: help setup build kernels demo test lint format bench fuzz docs dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what a fresh Debian 12 lacks (quick when all is there)
	@Scripts/setup

build: setup ## build the program, .build/release/crumb
	$(SWIFT) build -c release --product crumb

kernels: setup ## compile the GPU kernels into the program (nvcc comes from PyPI)
	Scripts/kernels
	Scripts/check-kernels

demo: build ## fetch SmolLM2-135M, quantize it, let it answer (under 8 minutes on 2 cores)
	Scripts/demo $(CRUMB)

test: kernels ## fetch SmolLM2, compile the kernels, run every test and the commands of the README
	@Scripts/fetch-models smollm2 >/dev/null || { [ $$? -eq 3 ] && echo "test: goes on without SmolLM2's tests." >&2; }
	$(SWIFT) build -c release --build-tests
	$(SWIFT) test -c release --skip-build
	Kernels/lab/emulated/run.sh "$$(Scripts/cuda-tools)/include"
	Scripts/test-readme

lint: setup ## check format, imports, words, scripts and links; changes nothing
	Scripts/format --check
	Scripts/check-imports
	Scripts/check-words
	Scripts/check-docs

format: setup ## let the formatters rewrite the sources
	Scripts/format

bench: build ## speed of SmolLM2, quantized and as it came
	Scripts/bench $(CRUMB)

fuzz: setup ## fuzz every reader, 10 minutes each (SECONDS_EACH=600)
	Scripts/fuzz

docs: ## check that every link of the documents leads somewhere
	Scripts/check-docs

dist: kernels ## make a tarball with one program that runs on any Linux with glibc 2.35 or later
	Scripts/dist

clean: ## remove what was built; fetched models stay
	rm -rf .build .build-*
