# make setup needs Python 3.11 or newer; nothing else is installed outside .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
EXTRAS ?= dev,bnb,trackio,dashboard,report,joblib,submitit,postgres,vision,audio,tensorboard,mlflow,optimizers,evidence,energy
comma := ,
STAMP := .venv/.setup-$(subst $(comma),-,$(EXTRAS))
# One math thread a process: with two test workers on two cores more threads only get in each other's way.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
ARGS ?=
# Engines that the tests of scale start for themselves.
DEBIAN := slurm-wlm munge postgresql iproute2

.PHONY: setup train table test test-scale check docs bench clean help

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

setup: $(STAMP) ## make .venv and install exp with the locked versions

# Repeated only when the requirements change.
$(STAMP): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c requirements.lock -e '.[$(EXTRAS)]'
	touch $@

train: setup ## the default training; more with ARGS="data=mrpc loop=trainer"
	$(BIN)/python -m exp.train $(ARGS)

table: setup ## the offline demo table, from nothing; another with ARGS="table=hf_glue dry_run=true"
	$(BIN)/python -m exp.table $(or $(ARGS),table=offline_demo jobs=2)

test: setup ## every test, two workers; some with ARGS="tests/config/test_check.py -x"
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-scale: ## SLURM, Ray, PostgreSQL and two hosts for real; as root on Debian it installs them, each skip names its reason
	-test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null || dpkg -s $(DEBIAN) >/dev/null 2>&1 \
		|| { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(DEBIAN); }
	$(MAKE) setup EXTRAS=$(EXTRAS),ray
	$(ONE_THREAD) $(BIN)/python -m pytest -m scale $(or $(ARGS),tests/scale)

check: setup ## format, lint, types, import layers, the lock against pyproject.toml, the Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/python -m pytest -q tests/test_lock.py

docs: ## the documentation as pages in build/docs, offline; a dead link ends the build
	$(MAKE) setup EXTRAS=$(EXTRAS),docs
	$(BIN)/mkdocs build --quiet

bench: setup ## speed and memory in one table and one JSON; GLUE=<folder> takes MiniLM on MRPC; COMPARE="old.json new.json"
	$(BIN)/python -m benchmarks.suite $(if $(GLUE),--glue $(GLUE)) $(if $(COMPARE),--compare $(COMPARE))

clean: ## remove caches and builds; keeps .venv, outputs/ and multirun/
	rm -rf build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
