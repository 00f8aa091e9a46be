.DEFAULT_GOAL := help

# The versions of the tools, for everyone: contributors, .ci/run and the
# workflows. They are built into bin/, which git ignores.
GOLANGCI_LINT_VERSION := v2.15.0
SQLC_VERSION          := v1.31.1
GOOSE_VERSION         := v3.29.0
GOVULNCHECK_VERSION   := v1.9.0
CYCLONEDX_VERSION     := v1.10.0

BIN := bin
install = GOBIN=$(CURDIR)/$(BIN) go install

$(BIN)/golangci-lint: Makefile
	$(install) github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) && touch $@

$(BIN)/sqlc: Makefile
	$(install) github.com/sqlc-dev/sqlc/cmd/sqlc@$(SQLC_VERSION) && touch $@

$(BIN)/goose: Makefile
	$(install) github.com/pressly/goose/v3/cmd/goose@$(GOOSE_VERSION) && touch $@

$(BIN)/govulncheck: Makefile
	$(install) golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) && touch $@

$(BIN)/cyclonedx-gomod: Makefile
	$(install) github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION) && touch $@

.PHONY: bench
bench: ## Measure flightbill beside what else flights could be billed with, and on a stock Postgres; writes benchmarks/COMPARISON.md and README's part of it
	go run ./benchmarks compare

.PHONY: build
build: ## Build ./flightbill
	CGO_ENABLED=0 go build -trimpath -o flightbill ./cmd/flightbill

.PHONY: ci
ci: ## Run what the project's CI runs on Linux (installs what it needs)
	.ci/run

.PHONY: demo
demo: ## Bill a month of real flights on an embedded Postgres
	go run ./cmd/flightbill demo

.PHONY: format
format: $(BIN)/golangci-lint ## Format the Go code
	$(BIN)/golangci-lint fmt

.PHONY: generate
generate: $(BIN)/sqlc ## Generate db/schema.sql from the migrations (needs pg_dump 15), db/dbsqlc from it and db/queries, and THIRD_PARTY_LICENSES
	go run ./internal/dumpschema
	$(BIN)/sqlc generate
	go run ./internal/licenses -write

.PHONY: help
help: ## Print this message
	@awk -F ':.*## ' '/^[a-z\/]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: lint
lint: $(BIN)/golangci-lint ## Run the linters
	$(BIN)/golangci-lint run

.PHONY: migration
migration: ## Write a migration of the functions that differ from db/functions: make migration NAME=what_it_does
	go run ./internal/functions -migration "$(NAME)"

.PHONY: sbom
sbom: $(BIN)/cyclonedx-gomod ## Write sbom.json: what the binary is made of, in CycloneDX's form
	$(BIN)/cyclonedx-gomod app -json -licenses -main cmd/flightbill -output sbom.json .

.PHONY: test
test: ## Run the tests, on an embedded Postgres 18
	go test ./...

.PHONY: test/oldest
test/oldest: ## Run the tests that use Postgres on an embedded one of the oldest supported version, 15 (with pg_dump 15, db/schema.sql is checked too)
	FLIGHTBILL_TEST_POSTGRES=15 go test ./db/... ./jobs/...

.PHONY: test/race
test/race: ## Run the tests with the race detector
	go test -race -timeout 20m ./...

.PHONY: test/stock
test/stock: ## Run the tests that use Postgres on the one that Debian's package makes, with its defaults
	internal/checks/stock-postgres -o max_connections=400 -o max_prepared_transactions=10 go test -p 2 -timeout 20m -skip '^TestDemo' $$(go list ./db/... | grep -v /db/embedded) ./jobs/... ./cmd/...

.PHONY: tidy
tidy: ## Bring go.mod and go.sum up to date
	go mod tidy

.PHONY: tools
tools: $(BIN)/golangci-lint $(BIN)/sqlc $(BIN)/goose $(BIN)/govulncheck ## Build the tools into bin/

.PHONY: verify
verify: $(BIN)/sqlc ## Check that go.mod, the generated code, the migrations' functions and airports, the demo's flights and THIRD_PARTY_LICENSES are up to date
	go mod tidy -diff
	go run ./internal/functions
	go run ./internal/airports
	go run ./internal/demodata
	go run ./internal/licenses
	$(BIN)/sqlc diff

.PHONY: vulnerable
vulnerable: $(BIN)/govulncheck ## Look for known vulnerabilities in what is called
	$(BIN)/govulncheck ./...
