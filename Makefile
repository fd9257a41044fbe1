# What a person types: make demo, make test; the rest serves these two. `make help` lists everything.

SHELL = /bin/sh
PORT = 8000
WORKERS = 2
MINUTES =
EXAMPLES =
DATABASE = both
PYTEST_ARGS =
SOAK_ARGS =

VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
# A stamp is touched when its step is complete, so a step broken off is done again and a finished one is not.
BASE = $(VENV)/.base
RUNTIME = $(VENV)/.runtime
DEVELOPMENT = $(VENV)/.development

.PHONY: help venv demo test lint format bench faults machines soak model lock programs check-ruff check-types check-imports check-tests clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo "make demo [PORT=8000]  start the whole product with simulated QuickBooks and Xero"
	@echo "make test              install what the tests need and run everything"
	@echo "make venv              only prepare .venv, so that .venv/bin/duebridge exists"
	@echo "make lint              ruff, mypy and the import rules"
	@echo "make format            let ruff put the code in order"
	@echo "make bench             measure speed, one JSON line each"
	@echo "make faults [FULL=1]   kill -9 a worker at every step of every walk, on both databases"
	@echo "make machines          four machines with wrong clocks, limits, fairness, a database that dies, a full disk"
	@echo "make soak [MINUTES=2]  everything at once, processes killed at random, then count (DATABASE_URL, else SQLite)"
	@echo "make model [MINUTES=n | EXAMPLES=60]  random walks against a simple model, on both databases at once (DATABASE=sqlite: one)"
	@echo "make lock              write the requirements files anew (needs uv)"
	@echo "make clean             remove .venv, caches and builds; data stays"

venv: $(RUNTIME)
	@echo "The environment is ready: $(BIN)/duebridge"

$(BASE):
	@if $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then touch $(BASE); exit 0; fi; \
	found=; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	  if $$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Python 3.11 or newer with venv is needed and was not found." >&2; \
	  echo "Install it (Debian and Ubuntu: apt-get install python3 python3-venv), or name it: make venv PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	echo "Making the virtual environment in $(VENV) with $$($$found --version)"; \
	$$found -m venv --clear $(VENV) || { \
	  echo "The virtual environment could not be made: see the message above, then run make again." >&2; exit 1; }; \
	touch $(BASE)

$(RUNTIME): $(BASE) requirements.txt requirements-build.txt pyproject.toml
	@echo "Installing what the product needs from requirements.txt, every package checked against its hash (half a minute)"
	@$(PIP) install --require-hashes -r requirements.txt -r requirements-build.txt || { \
	  echo "The packages could not be installed: check the network and pip's settings, then run make again." >&2; exit 1; }
	@echo "Installing duebridge itself"
	@$(PIP) install --no-deps --no-build-isolation -e . || { \
	  echo "duebridge itself could not be installed: run make clean, then make again." >&2; exit 1; }
	@touch $@

# The development set contains the runtime set in the same versions.
$(DEVELOPMENT): $(BASE) requirements-dev.txt pyproject.toml
	@echo "Installing what the tests need from requirements-dev.txt, every package checked against its hash (about a minute)"
	@$(PIP) install --require-hashes -r requirements-dev.txt || { \
	  echo "The packages could not be installed: check the network and pip's settings, then run make again." >&2; exit 1; }
	@echo "Installing duebridge itself"
	@$(PIP) install --no-deps --no-build-isolation -e . || { \
	  echo "duebridge itself could not be installed: run make clean, then make again." >&2; exit 1; }
	@touch $(RUNTIME) $@

demo: $(RUNTIME)
	@echo "Starting the demonstration on port $(PORT); Ctrl-C stops it"
	@exec $(BIN)/duebridge demo --port $(PORT)

test: $(DEVELOPMENT) programs lint check-tests

lint: check-ruff check-types check-imports

check-ruff: $(DEVELOPMENT)
	@echo "ruff: reading the code for faults"
	@$(BIN)/ruff check . || { echo "Mend what ruff names above; make format mends some of it." >&2; exit 1; }
	@echo "ruff: reading the code for its form"
	@$(BIN)/ruff format --check . || { echo "Run make format." >&2; exit 1; }

check-types: $(DEVELOPMENT)
	@echo "mypy: checking all types (a minute the first time, seconds later)"
	@$(BIN)/mypy || { echo "Mend the types mypy names above." >&2; exit 1; }

check-imports: $(DEVELOPMENT)
	@echo "import-linter: checking who imports whom"
	@NO_COLOR=1 $(BIN)/lint-imports --no-logo || { echo "Mend the imports named above; the rules and their reasons stand in pyproject.toml." >&2; exit 1; }

check-tests: $(DEVELOPMENT)
	@echo "pytest: running everything with $(WORKERS) processes"
	@$(BIN)/python -m pytest -n $(WORKERS) --dist load $(PYTEST_ARGS) || { \
	  echo "Tests failed: each is named above; run one alone with $(BIN)/python -m pytest PATH::NAME" >&2; exit 1; }

format: $(DEVELOPMENT)
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(DEVELOPMENT)
	@echo "Measuring speed; the box should have nothing else to do" >&2
	@$(BIN)/python -m tests.bench || { echo "A measurement failed or missed its mark: see above." >&2; exit 1; }

faults: $(DEVELOPMENT)
	@FULL=$(FULL) $(BIN)/python -m pytest tests/faults -q -n 2 --dist load || { \
	  echo "The books did not survive a crash: the test above names the walk; FAULTS_SEED=n repeats an order." >&2; exit 1; }

machines: $(DEVELOPMENT)
	@MACHINES=1 $(BIN)/python -m pytest tests/machines -o 'python_files=test_*.py full_*.py' -q -s -n 0 && \
	$(BIN)/python -m tests.machines

soak: $(DEVELOPMENT)
	@$(BIN)/python -m tests.soak $(or $(MINUTES),2) $(SOAK_ARGS)

model: $(DEVELOPMENT)
	@MODEL_SEED=$(MODEL_SEED) MODEL_REPLAY=$(MODEL_REPLAY) $(BIN)/python -m tests.model --database $(DATABASE) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(if $(EXAMPLES),--examples $(EXAMPLES)) || { \
	  echo "The books did not agree with the model: the line above names the walk and what replays it." >&2; exit 1; }

programs:
	@sh tests/system_packages.sh

lock:
	@command -v uv >/dev/null 2>&1 || { echo "make lock needs uv: install it with pipx install uv, then run make lock again." >&2; exit 1; }
	@echo "Writing requirements.txt, requirements-build.txt and requirements-dev.txt"
	@compile="uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q"; \
	$$compile -o requirements.txt && $$compile --group dev -o requirements-dev.txt && \
	uv pip compile --group build --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
	  -c requirements-dev.txt -o requirements-build.txt

clean:
	@echo "Removing .venv, caches and builds"
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
