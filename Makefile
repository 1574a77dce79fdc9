# Two commands do all the set-up: `make demo` and `make test`. Both create .venv from the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
TORCH := $(VENV)/.torch
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup torch demo test check format bench train train-npc train-anticheat docs site lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@echo "gameedge: creating $(VENV) and installing the locked versions (about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "gameedge needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@echo "gameedge: compiling the arena's and the models' kernels once"
	@$(BIN)/python -m gameedge.inference.warm
	@touch $(STAMP)

setup: $(STAMP)  ## create .venv and install the locked versions

$(TORCH): $(STAMP)
	@echo "gameedge: installing torch, for training and for the tests that compare with it"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 'matplotlib>=3.9'
	@touch $(TORCH)

torch: $(TORCH)  ## also install torch: for training, and for the tests that compare with it

demo: $(STAMP)  ## the whole game on this machine: 3 regions, 60 bots, until Ctrl-C (ARGS="--for 30s --summary s.json")
	@$(BIN)/gameedge up --regions 3 --bots 60 --cheaters 0.1 $(ARGS)

test: $(STAMP)  ## run all tests (ARGS="-k name")
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

check: $(STAMP)  ## lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP)  ## format and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP)  ## run every benchmark and keep the results (ARGS="transport")
	@$(BIN)/python -m loadtest bench $(ARGS)

train: train-anticheat  ## train the shipped models again

train-anticheat: $(TORCH)  ## train the anti-cheat's models again (about 20 minutes on two cores; installs torch)
	@$(BIN)/python -m models.anticheat.train
	@$(BIN)/python -m models.anticheat.train_mouse

train-npc: $(TORCH)  ## train the NPC policy, set its levels and measure it (about half an hour on one core; installs torch; ARGS="--steps 20e6")
	@$(BIN)/python -m models.npc train $(ARGS)
	@$(BIN)/python -m models.npc build
	@$(BIN)/python -m models.npc evaluate

docs: $(STAMP)  ## regenerate the generated pages of docs/ and clients/vectors/
	@$(BIN)/python -m gameedge.telemetry.docs
	@$(BIN)/python -m gameedge.admin.docs
	@$(BIN)/python -m docs.http_api
	@$(BIN)/python -m clients.vectors.generate

site: $(STAMP)  ## build the docs site into build/site
	@$(BIN)/python -m docs.build

lock:  ## refresh requirements.lock from pyproject.toml (needs uv)
	@uv pip compile pyproject.toml --universal --python-version 3.11 --extra edge --extra embedded --extra dev --extra docs --extra onnx --extra otel --generate-hashes --no-annotate --no-header --no-emit-index-url -o requirements.lock

clean:  ## remove everything that the commands above created
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .gameedge
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
