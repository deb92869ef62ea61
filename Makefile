# `make` alone prints the menu.
PACKAGES := postgresql redis-server nginx libpq-dev libhiredis-dev libsodium-dev libjansson-dev \
	libutf8proc-dev libidn2-dev libzxcvbn-dev pkg-config openssl python3
NODES ?= 1
DEV_FLAGS ?=

.PHONY: menu packages build run cluster test check format regenerate bench manifests containers

menu:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make run         install what is missing, build, start Watchword on http://127.0.0.1:8080
run: build
	.build/debug/watchword dev --nodes $(NODES) $(DEV_FLAGS)

## make cluster     three nodes behind nginx on http://127.0.0.1:8000
cluster: build
	scripts/cluster

## make test        install what is missing, build, run the whole test suite
test: packages
	swift build --build-tests
	swift test --skip-build --parallel

## make check       format, build, tests, generated files: what a change must pass
check: packages
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	swift build --build-tests
	swift test --skip-build --parallel

## make format      rewrite the sources in the house's form
format:
	swift format format --in-place --recursive --parallel Sources Tests Package.swift

## make regenerate  rewrite the generated files; their diff is the review
regenerate: packages
	WATCHWORD_REGENERATE=1 swift test --filter GeneratedFileTests

## make manifests   check the Dockerfile, docker-compose.yml and k8s/
manifests:
	scripts/check-manifests

## make containers  build the image and run docker-compose.yml once, with podman, offline (root)
containers:
	scripts/try-containers

## make bench       side-by-side benchmarks, as ratios
bench: packages
	bench/run

build: packages
	swift build --product watchword

packages:
	@scripts/packages $(PACKAGES)
