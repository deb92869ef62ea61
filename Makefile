# `make` alone prints the menu.
PACKAGES := postgresql redis-server nginx haproxy caddy curl oathtool libpq-dev libhiredis-dev \
	libsodium-dev libjansson-dev libutf8proc-dev libidn2-dev libzxcvbn-dev pkg-config openssl \
	python3 python3-venv spin gcc libc6-dev
SWIFT_FILES := Sources Tests Package.swift
NODES ?= 1
DEV_FLAGS ?=
MINUTES ?= 2
SEED ?= 1
TOPOLOGY ?= pg
CHAOS_BUILD ?= debug
CHAOS_FLAGS ?=
# Tests start servers of their own: more of them at a time starve each other on a small machine.
TEST_WIDTH := SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4

.PHONY: menu packages venv build run cluster test check lint format regenerate bench \
	manifests containers models schedules cuts chaos chaos-mutants \
	schemathesis

menu:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## make run         install what is missing, build, start Watchword on http://127.0.0.1:8080
run: build
	.build/debug/watchword dev --nodes $(NODES) $(DEV_FLAGS)

## make cluster     three nodes behind nginx on http://127.0.0.1:8000
cluster: build
	scripts/cluster

## make test        install what is missing, build, run the whole test suite
test: packages
	swift build --build-tests
	folder=$$(scripts/test-folder) && TMPDIR=$$folder $(TEST_WIDTH) swift test --skip-build

## make check       what a change must pass: formatter, tests, generated files
check: lint venv test

## make lint        only the formatter
lint:
	swift format lint --strict --recursive --parallel $(SWIFT_FILES)

## make format      rewrite the sources in the house's form
format:
	swift format format --in-place --recursive --parallel $(SWIFT_FILES)

## make regenerate  rewrite the generated files; their diff is the review
regenerate: packages
	swift build --build-tests
	WATCHWORD_REGENERATE=1 swift test --skip-build --filter GeneratedFileTests

## make manifests   check the Dockerfile, docker-compose.yml and k8s/
manifests:
	scripts/check-manifests

## make schemathesis  try docs/openapi.json against a running node: EXAMPLES=15 SEED=1
schemathesis: build venv
	scripts/check-api

## make containers  build the image and run docker-compose.yml once, with podman, offline (root)
containers:
	scripts/try-containers

## make schedules   the revocation cores under 100,000 simulated schedules: SCHEDULES=n SEED=s
SCHEDULES ?= 100000
schedules: packages
	swift build --build-tests
	WATCHWORD_SCHEDULES=$(SCHEDULES) WATCHWORD_SEED=$(SEED) \
		swift test --skip-build --filter AuthoritySimulationTests

## make cuts        520 requests to /verify cut at every byte: minutes
cuts: packages
	swift build --build-tests
	WATCHWORD_CUTS=all swift test --skip-build --filter FastPathSameTests

## make models      check the models of the revocation guarantee, and that each mutant is caught
models: packages
	models/run

## make chaos       a live fault campaign: MINUTES=2 SEED=1 TOPOLOGY=pg|redis-1|redis-3
## 		  CHAOS_BUILD=release for release nodes
chaos: packages
	swift build -c $(CHAOS_BUILD) --product watchword
	swift build --product Chaos
	.build/debug/Chaos minutes=$(MINUTES) seed=$(SEED) topology=$(TOPOLOGY) \
		binary=$(CURDIR)/.build/$(CHAOS_BUILD)/watchword $(CHAOS_FLAGS)

## make chaos-mutants  nodes that are broken on purpose, which the campaign must notice
chaos-mutants: packages
	swift build --product watchword
	swift build --product Chaos
	scripts/chaos-mutants

## make bench       side-by-side benchmarks, as ratios
bench: PACKAGES += wrk
bench: packages
	bench/run

build: packages
	swift build --product watchword

packages:
	@scripts/packages $(PACKAGES)

# A Python with the validator of docs/openapi.json, which one test asks when it is there, and with
# what tries the document against a node.
venv: packages
	@scripts/venv openapi-spec-validator==0.7.1 schemathesis==4.32.5
