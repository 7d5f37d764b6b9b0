# Waybill. `make` alone lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help run serve test lint fuzz bench chaos generate postgres build

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## watch real orders live their lives, each transition delivered to a webhook
	@bin/waybill demo

serve: build ## run the relay and the HTTP API on 127.0.0.1:8080 until Ctrl-C
	@bin/waybill serve

test: postgres ## run every test, with the race detector, against a real PostgreSQL
	go test -race -timeout 9m $$(go list ./... | grep -v /internal/chaos)
	go test -race -timeout 5m ./internal/chaos # alone: it judges who had a lease when, and others would be in its way

lint: ## gofmt, go vet, staticcheck, and the directions of imports
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go test -run 'TestImports' ./internal/rooms

FUZZTIME ?= 20s
# Where the time is over in the midst of an input, `go test` may say that the deadline was exceeded, and fail. That finds nothing.
fuzz: postgres ## let every fuzz target search for FUZZTIME (20s)
	@set -eo pipefail; log=$$(mktemp); trap 'rm -f $$log' EXIT; \
	grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r package; do \
		grep -hoE '^func Fuzz[A-Za-z0-9]+' $$package/*_test.go | sed 's/^func //' | sort -u | while read -r target; do \
			echo "$$package $$target"; \
			go test $$package -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) 2>&1 | tee $$log || \
				{ grep -q '^ *context deadline exceeded$$' $$log && ! grep -q 'Failing input\|panic:\|_test.go:' $$log; }; \
		done; \
	done

bench: build ## measure everything beside its limit in the same run, some ten minutes, and write docs/benchmarks.md
	@bin/waybill bench --write docs/benchmarks.md

chaos: postgres ## hours of bad luck in some minutes: kills, stops, cuts, full disks; then compare what everybody saw
	go test ./internal/chaos -count=1 -v -run TestChaos -timeout 60m -chaos.kills 200 -chaos.workers 50 -chaos.stops 20 \
		-chaos.cuts 40 -chaos.delays 30 -chaos.resets 40 -chaos.lags 30 -chaos.clocks 40 -chaos.pauses 30 -chaos.full 20

generate: ## write anew what is made from the machines' tables: diagrams and golden files
	go test . ./cmd/waybill $(addprefix ./domain/,order stock batch gift customer imports subscription) -run Golden -update

build: postgres
	@go build -buildvcs=auto -o bin/waybill ./cmd/waybill

# The programs use the PostgreSQL binaries of this machine. Where there are none, root on Debian gets them from its package; anybody
# else lets the program download its own at first start.
postgres:
	@if ! { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb || ls "$$(pg_config --bindir)/initdb"; } >/dev/null 2>&1 \
	   && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "no PostgreSQL on this machine: installing Debian's package"; \
		(apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends postgresql) >&2; \
	fi
