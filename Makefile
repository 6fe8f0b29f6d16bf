# Everything a fresh machine needs is python3 and make.
PYTHON ?= python3
BIN := .venv/bin

# In processes of their own: TensorFlow keeps the memory of what it has compiled.
PYTEST := $(BIN)/python -m pytest -n 2 --durations=5 --dist loadfile

# Rooms whose tests have processes apart from those of all others.
APART := tests/methods/ tests/stages/ tests/training/ tests/__pycache__/

# Tests of all that is in one table, which are too many for one process.
TABLES := $(addprefix tests/test_,conformance.py method_conformance.py method_modes.py)

.PHONY: quickstart test lint results docs clean

quickstart: .venv/installed
	$(BIN)/python main.py --flagfile=experiments/quickstart.flags

test: .venv/tested lint
	$(PYTEST) tests/methods/
	$(PYTEST) tests/stages/
	$(PYTEST) tests/training/
	for table in $(TABLES); do $(PYTEST) --dist loadgroup $$table || exit 1; done
	$(PYTEST) $(filter-out $(TABLES),$(wildcard tests/test_*.py))
	$(PYTEST) $(filter-out $(APART),$(wildcard tests/*/))

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

results: .venv/installed
	$(BIN)/python experiments/document_tables.py

docs: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check "pdoc>=16,<17"
	$(BIN)/python experiments/api_reference.py

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/tested: .venv/installed tests/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv runs
