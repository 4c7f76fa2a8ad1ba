# `make demo` and `make test` are all a newcomer needs; both make the virtual environment if it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint clean

# Redone whenever the dependencies change.
.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

setup: .venv/.done

demo: setup
	$(BIN)/untrimmed demo --out demo-out

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two workers of one thread each: the suite is meant for two cores. UNTRIMMED_* variables pass through.
test: lint
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest -n 2

clean:
	rm -rf .venv demo-out build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
