# gamekit: `make demo` runs the main job on a devnet of its own, `make test` passes every check.
# Needs Python 3.11 to 3.13 (PYTHON=python3.12 chooses one) and make. Node, forge, anvil and solc come with the set-up.

PYTHON ?= python3
VENV := .venv
# Processes that share the tests, a file each; most of them wait for a chain's blocks.
WORKERS ?= 2
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --no-input --quiet
# Run as a file and not as a module: it must work while the package itself cannot be imported.
CONTRACTS := $(PY) -P gamekit/contracts/build.py
UV_VERSION := 0.13.9

# Node brings its own list of authorities; a machine that names another one to OpenSSL means node as well.
ifdef SSL_CERT_FILE
export NODE_EXTRA_CA_CERTS ?= $(SSL_CERT_FILE)
endif

.DEFAULT_GOAL := help
.PHONY: help setup compile contracts demo test lint format bench campaigns nightly lock clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-10s %s\n' "$$name" "$$what"; done

setup: compile $(VENV)/.installed ## Create .venv, install what requirements.lock pins, compile the contracts

$(VENV)/.dependencies: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
		f"gamekit needs Python 3.11 to 3.13, and {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	@test -x $(PY) || { echo "gamekit: creating $(VENV)" >&2; $(PYTHON) -m venv $(VENV); }
	@echo "gamekit: installing the pinned dependencies" >&2
	@$(PIP) --require-hashes --only-binary :all: -r requirements.lock
	@touch $@

# Editable, so it is needed again only when the metadata changes. Its build hook finds the contracts already compiled;
# inside pip nobody would see how that goes.
$(VENV)/.installed: $(VENV)/.dependencies pyproject.toml | compile
	@echo "gamekit: installing gamekit itself" >&2
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

compile: $(VENV)/.dependencies ## Compile the contracts, if they changed
	@$(CONTRACTS) build

contracts: setup ## Prove the contracts: tests, escapes, invariants, parity, proofs, mutants, static analysis
	@$(PY) -m tests.proof.run $(ARGS)

demo: setup ## Run the main job on an embedded devnet; options through ARGS="--players 200 --seconds 20"
	@$(PY) -m gamekit.cli demo $(ARGS)

test: lint ## Pass every check: linters, types, contracts, Python
	$(CONTRACTS) test
	$(PY) -m pytest --numprocesses $(WORKERS) --dist loadfile

lint: setup ## Check style and types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(CONTRACTS) format --check

format: setup ## Rewrite the sources in the agreed form
	$(PY) -m ruff check --fix-only --quiet
	$(PY) -m ruff format
	$(CONTRACTS) format

bench: setup ## Measure signing, the pipeline and gas; writes benchmarks/results/
	$(PY) -m benchmarks.sign
	$(PY) -m benchmarks.pipeline
	$(PY) -m benchmarks.gas
	$(PY) -m benchmarks.readme

campaigns: setup ## Search for faults for longer than a test may take: kills, crashes, lying nodes, old backups
	@$(PY) -m tests.campaigns.run $(ARGS)

nightly: test ## Everything that is worth a night, at full size
	@$(PY) -m tests.campaigns.run --nightly $(ARGS)
	@$(PY) -m tests.proof.run --nightly $(ARGS)

# uv resolves for every supported Python at once, which pip cannot. It lives in a virtualenv of its own.
lock: ## Renew requirements.lock from pyproject.toml
	@test -x build/lock/bin/uv || { $(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet uv==$(UV_VERSION); }
	build/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
		--generate-hashes --no-header --no-emit-index-url --output-file requirements.lock pyproject.toml

clean: ## Remove everything that the set-up and the tests made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	rm -rf $(addprefix gamekit/contracts/,node_modules out cache artifacts devnet_artifacts)
	find gamekit tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
