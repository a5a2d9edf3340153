# Everything that is done with this repository has a word here; CI, the git hook and people say the
# same ones. A fresh machine needs Python 3.11 or newer (with venv and pip), make, git and, for the
# admin UI, Node 20. Works with GNU make 3.81, which is the one that macOS has.

.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; exit; fi; \
	done; echo python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEPLOY := build/deploy-venv
DOCS   := build/docs-venv
FUZZ   := build/fuzz-packages
MEMRAY := build/memory-packages
IMAGE  := build/image-venv
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV     := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --quiet --custom-compile-command "make lock"

T ?=
S ?= steady
V ?=
TIDY := tests/test_tidy.py tests/test_deployment.py
ARM64 := --implementation cp --python-version 3.11 --platform manylinux2014_aarch64 \
	--platform manylinux_2_17_aarch64 --platform manylinux_2_28_aarch64
ACTIONLINT := v1.7.12
KUSTOMIZED := sqlite+monitoring production+monitoring production+statefulset+monitoring
XDIST := -n auto --dist loadfile

.PHONY: help setup demo quick-start run test test-all check fix check-fast golden bench bench-gate \
	bench-report bench-peers load profile memory mutation runway isolation churn db-bench crashes \
	outages rolling kills stack footprint shares admin-load capacity \
	faults soak planted fuzz changelog lock k8s check-deploy image-replay docs dashboards reference ui \
	hooks clean

help:  ## list these words
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "codex2api needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is missing (Debian and Ubuntu: the package python3-venv)."; exit 1; }

$(STAMP): requirements-build.lock requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked packages into $(VENV) (about a minute the first time) ..."
	@# The pip that comes with Python 3.11 takes an extra's pin for another package: it is renewed first.
	@$(PIP) install --require-hashes -r requirements-build.lock
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-index --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ui hooks  ## virtual environment, locked dependencies, git hook, admin UI packages
	@echo "Ready: make demo, make test, make help."

# Built again only if something of it has changed. Without Node the gateway works as well.
ui:  ## the admin UI's pages, into admin-ui/dist
	@if ! command -v npm >/dev/null 2>&1; then \
		echo "Node is missing: the admin UI is not built, and /admin/ says what to do instead."; \
	elif [ ! -f admin-ui/dist/index.html ] || [ -n "$$(find admin-ui -newer admin-ui/dist/index.html \
		-type f -not -path '*/node_modules/*' -not -path '*/dist/*' | head -n 1)" ]; then \
		echo "Building the admin UI (half a minute the first time) ..."; \
		cd admin-ui && npm ci --no-audit --no-fund --loglevel=error >/dev/null && npm run --silent build >/dev/null; \
	fi

hooks: $(STAMP)
	@if [ -z "$$CI" ] && git rev-parse --git-dir >/dev/null 2>&1; then \
		$(BIN)/pre-commit install --hook-type pre-commit >/dev/null; fi

demo: $(STAMP) ui  ## the gateway with a simulated upstream and three accounts, until Ctrl-C
	@$(BIN)/python -m scripts.demo $(ARGS)

quick-start: $(STAMP)  ## does what docs/quick-start.md says in a fresh clone, every command as written
	@$(BIN)/python -m scripts.quick_start $(ARGS)

run: $(STAMP)  ## the gateway alone, on the real upstream, with its data in ./data
	@exec $(BIN)/codex2api serve

test: $(STAMP) ui  ## all tests that need no root; T=tests/pool/test_health.py for one file
	@if [ -n "$(T)" ]; then exec $(BIN)/pytest $(T); else exec $(BIN)/pytest $(XDIST); fi

test-all: $(STAMP) ui  ## all tests, with 10,000 seeds of the simulated day, and ten crashes
	@SIMULATION_SEEDS=10000 $(BIN)/pytest $(XDIST)
	@$(BIN)/python -m loadtests.crashes --kills 10

check: $(STAMP)  ## format, lint, types, import contracts, dependencies, tidiness
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry .
	@$(BIN)/pytest -q -p no:randomly $(TIDY)
	@if [ -d admin-ui/node_modules ]; then cd admin-ui && npm run --silent check >/dev/null; fi

fix: $(STAMP)  ## format, and apply the fixes that are safe
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

check-fast: $(STAMP)  ## unit and golden tests, in parallel
	@$(BIN)/pytest -q $(XDIST) -m "not slow and not e2e"

golden: $(STAMP)  ## rewrite the golden files; the diff is the review
	@GOLDEN_UPDATE=1 $(BIN)/pytest -q -p no:randomly tests/dialects -k golden
	@git --no-pager diff --stat -- tests/golden

$(IMAGE)/.installed: requirements.lock | $(VENV)/bin/python
	@$(PYTHON) -m venv $(IMAGE)
	@$(IMAGE)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes \
		-r requirements.lock
	@touch $@

bench: $(STAMP) $(IMAGE)/.installed  ## CPU, delay and memory beside nginx, half an hour; ARGS="events --tls"
	@BENCH_PYTHON=$(IMAGE)/bin/python $(BIN)/python -m loadtests.bench --json build/bench.json $(ARGS)

bench-gate: $(STAMP) $(IMAGE)/.installed  ## fails if an event costs 15 % more CPU than recorded
	@BENCH_PYTHON=$(IMAGE)/bin/python $(BIN)/python -m loadtests.bench events --tls \
		--json build/gate.json >build/gate.txt
	@$(BIN)/python -m loadtests.bench.gate build/gate.json loadtests/bench/baseline.json $(ARGS)

bench-report: $(STAMP)  ## write the tables of the last `make bench` into bench.md
	@$(BIN)/python -m loadtests.bench.report build/bench.json bench.md

bench-peers: $(STAMP)  ## LiteLLM, Portkey, codex-lb, nginx and HAProxy beside the gateway, half an hour
	@$(BIN)/python -m loadtests.peers --json build/peers.json $(ARGS)

mutation: $(STAMP)  ## share of small defects the tests notice; ARGS="--sample 0 app/pool/health.py"
	@$(BIN)/python -m scripts.mutation $(ARGS)

runway: $(STAMP)  ## how often the truth lies inside the runway forecast's 80 % interval; ARGS="--seeds 7"
	@$(BIN)/python -m loadtests.runway $(ARGS)

db-bench: $(STAMP)  ## the dashboard's queries on ten million requests in Postgres, one in SQLite
	@$(BIN)/python -m loadtests.db_bench $(ARGS)

crashes: $(STAMP)  ## kill -9 a hundred times under load, audit the books; ARGS="--kills 10 --seed 7"
	@$(BIN)/python -m loadtests.crashes $(ARGS)

outages: $(STAMP)  ## ten minutes without Postgres, under load; ARGS="redis", ARGS="postgres --minutes 1"
	@$(BIN)/python -m loadtests.outages $(or $(ARGS),postgres)

rolling: $(STAMP)  ## restart two replicas behind nginx 20 times under 1,200 callers; ARGS="--proxy haproxy"
	@$(BIN)/python -m loadtests.rolling restarts $(ARGS)

kills: $(STAMP)  ## kill -9 workers and replicas behind nginx 20 times under load, audit the books
	@$(BIN)/python -m loadtests.rolling kills $(ARGS)

stack: $(STAMP)  ## the processes of docker-compose.yml started by hand, and when each was ready
	@$(BIN)/python -m loadtests.stack

footprint: $(STAMP) ui  ## installed files and the data of 100,000 requests, in MB
	@$(BIN)/python -m loadtests.footprint

isolation: $(STAMP)  ## 100,000 turns on shared sockets, with faults: nobody hears another's words
	@$(BIN)/python -m loadtests.isolation $(ARGS)

.PHONY: sockets
sockets: $(STAMP)  ## 2,000 WebSockets at a time on one worker, 4,000 on two: nothing is lost
	@SOCKETS_FULL=1 $(BIN)/pytest -q -s -n 0 tests/e2e/test_websocket_load.py

churn: $(STAMP)  ## sockets come and go for real minutes and leave nothing: make churn MINUTES=30
	@$(BIN)/python -m loadtests.churn --minutes $(or $(MINUTES),30)

faults: $(STAMP)  ## every test of the fault matrix; writes docs/faults.md; ARGS="--only U8,W9"
	@$(BIN)/python -m scripts.faults $(ARGS)

soak: $(STAMP)  ## half load with 1 % of every fault, then all invariants: make soak HOURS=0.75
	@$(BIN)/python -m loadtests.soak --minutes $$(echo "$(or $(HOURS),0.75)" | awk '{ print 60 * $$1 }') \
		--json build/soak.json --plots docs/images $(ARGS)

planted: $(STAMP)  ## defects put into a copy on purpose: does the matching check notice? ARGS="lease"
	@$(BIN)/python -m scripts.planted $(ARGS)

build/%-packages/.installed: requirements-%.lock | $(STAMP)
	@$(PIP) install --require-hashes --upgrade --target $(@D) -r $<
	@touch $@

fuzz: $(FUZZ)/.installed  ## bytes from anywhere against a parser: make fuzz T=sse MINUTES=30
	@PYTHONPATH=$(FUZZ) $(BIN)/python -m loadtests.fuzz $(or $(T),sse) --minutes $(or $(MINUTES),30)

load: $(STAMP)  ## a load scenario: make load S=steady
	@$(BIN)/python -m loadtests.run $(S) $(ARGS)

profile: $(STAMP)  ## flame graph of a worker under load: make profile S=steady
	@mkdir -p build
	@$(BIN)/python -m loadtests.run $(S) --profile build/profile.svg $(ARGS)

memory: $(MEMRAY)/.installed  ## flame graph of what a worker's memory is made of: make memory S=crowd
	@PYTHONPATH=$(MEMRAY) $(BIN)/python -m loadtests.run $(S) --memory build/memory.html $(ARGS)

admin-load: $(STAMP) ui  ## the admin UI on 10,000 accounts and a million log rows; ARGS="--store postgres"
	@$(BIN)/python -m loadtests.admin $(ARGS)

shares: $(STAMP)  ## three processes share accounts under a skewed load, one is killed; ARGS="--seconds 8"
	@$(BIN)/python -m loadtests.shares $(ARGS)

capacity: $(STAMP)  ## what processes cost a Redis and calls a Postgres; writes docs/operate/capacity.md
	@$(BIN)/python -m loadtests.capacity $(ARGS)
	@$(BIN)/python -m loadtests.capacity.report

changelog: $(STAMP)  ## show what changelog.d/ adds up to; V=0.2.0 writes it into CHANGELOG.md
	@if [ -n "$(V)" ]; then $(BIN)/towncrier build --yes --version $(V); \
	else $(BIN)/towncrier build --draft --version Unreleased; fi

lock: $(STAMP)  ## renew the lock files; a release must be a week old to be taken at run time
	@$(UV) --upgrade --exclude-newer "7 days" pyproject.toml -o requirements.lock
	@$(UV) --upgrade --exclude-newer "3 days" --extra dev --extra otel -c requirements.lock \
		pyproject.toml -o requirements-dev.lock
	@$(UV) --upgrade --exclude-newer "3 days" --group deploy -o requirements-deploy.lock
	@$(UV) --upgrade --exclude-newer "3 days" --group docs -o requirements-docs.lock
	@$(UV) --upgrade --exclude-newer "3 days" --group fuzz -o requirements-fuzz.lock
	@$(UV) --upgrade --exclude-newer "3 days" --group memory -o requirements-memory.lock
	@printf 'hatchling\npip\n' | $(UV) -c requirements-dev.lock - -o requirements-build.lock

$(DEPLOY)/.installed: requirements-deploy.lock | $(VENV)/bin/python
	@$(PYTHON) -m venv $(DEPLOY)
	@$(DEPLOY)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes \
		-r requirements-deploy.lock
	@touch $@

check-deploy: $(DEPLOY)/.installed  ## image, compose files, manifests and workflows against their schemas
	@$(DEPLOY)/bin/hadolint Dockerfile
	@for each in requirements.lock requirements-build.lock; do $(DEPLOY)/bin/python -m pip \
		--disable-pip-version-check --quiet install --dry-run --ignore-installed --target build/arm64 \
		$(ARM64) --only-binary :all: --require-hashes -r $$each || exit 1; done
	@$(DEPLOY)/bin/check-jsonschema -q --builtin-schema vendor.compose-spec docker-compose*.yml
	@$(DEPLOY)/bin/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(DEPLOY)/bin/check-jsonschema -q --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(DEPLOY)/bin/yamllint --strict .github docker-compose*.yml k8s
	@for each in k8s/*.yaml; do $(DEPLOY)/bin/kubernetes-validate --quiet --strict $$each || exit 1; done
	@if command -v kubectl >/dev/null 2>&1; then mkdir -p build/k8s; for each in $(KUSTOMIZED); do \
		{ echo "resources: [../../k8s/overlays/$${each%%+*}]"; echo "components:"; \
		echo "+$${each#*+}" | sed 's|+|\n- ../../k8s/components/|g'; } > build/k8s/kustomization.yaml; \
		kubectl kustomize build/k8s > build/k8s.yaml || exit 1; \
		$(DEPLOY)/bin/kubernetes-validate --quiet --no-warn --strict build/k8s.yaml || exit 1; done; \
	else echo "kubectl is missing: components were not put together with the overlays."; fi
	@said=$$($(DEPLOY)/bin/zizmor --offline --config .github/zizmor.yml .github/workflows 2>&1) || \
		{ echo "$$said"; exit 1; }
	@if command -v actionlint >/dev/null 2>&1; then actionlint; \
	elif command -v go >/dev/null 2>&1; then GOBIN=$(CURDIR)/build/bin go install \
		github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT) && build/bin/actionlint; \
	else echo "actionlint and Go are missing: workflows were held to their schema and to zizmor only."; fi

image-replay: $(STAMP)  ## the Dockerfile's steps without an engine, in folders made by debootstrap (as root)
	@$(BIN)/python -m scripts.image_replay $(ARGS)

reference: $(STAMP)  ## write docs/reference from the code
	@$(BIN)/python -m scripts.reference

$(DOCS)/.installed: requirements-docs.lock | $(VENV)/bin/python
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes \
		-r requirements-docs.lock
	@touch $@

docs: reference $(DOCS)/.installed  ## the documentation as a site, in build/site
	@$(DOCS)/bin/zensical build --clean --strict

dashboards: $(STAMP)  ## write observability/grafana/dashboards from scripts/dashboards
	@$(BIN)/python -m scripts.dashboards
	@$(BIN)/python -m scripts.monitoring

k8s:  ## render the Kubernetes manifests of k8s/overlays into one file each
	@$(PYTHON) -m scripts.monitoring
	@for each in sqlite production; do \
		kubectl kustomize k8s/overlays/$$each > k8s/$$each.yaml || exit 1; done

clean:  ## remove what the other words made, except ./data
	@rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .mypy_cache \
		.pytest_cache .ruff_cache .import_linter_cache admin-ui/node_modules admin-ui/dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
