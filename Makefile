# `make demo` and `make test` are all a newcomer needs; both make the virtual environment if it is missing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint lint-page site crash fuzz lock sbom clean

setup: .venv/.done

# Redone whenever the dependencies change.
.venv/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "untrimmed needs Python 3.11 or newer, and '$(PYTHON)' is not; name another one: make PYTHON=python3.12 $(or $(MAKECMDGOALS),setup)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { \
		echo "'$(PYTHON)' cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/untrimmed demo --out demo-out

lint: setup lint-page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Types and style of the page's script.
lint-page:
	@if ! command -v npm >/dev/null; then echo "npm is not here: the page's script is not checked"; \
	elif ! $(MAKE) --no-print-directory node_modules/.done; then echo "npm cannot install: the page's script is not checked"; \
	else npm run --silent lint; fi

node_modules/.done: package.json package-lock.json
	npm ci --no-fund --no-audit
	touch $@

# The pages of docs/ as a site, in build/site; any dead link is an error.
site: setup
	$(BIN)/mkdocs build --strict

# Two workers of one thread each: the suite is meant for two cores. UNTRIMMED_* variables pass through.
test: lint
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

# Every command, ended before each of its changes to the disk, and with the disk full from 20 of them on: some hours. `make test`
# tries one point of each.
crash: setup
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m tests.crash.points $$(mktemp -d)/crash all
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m tests.crash.points --full $$(mktemp -d)/crash 20

# Damaged files and videos of every kind, others each time: with 6,000 a reader about an hour. What fails is put into FUZZ_KEEP.
fuzz: setup
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),6000) FUZZ_MEDIA=$(or $(FUZZ_MEDIA),1000) FUZZ_KEEP=$(or $(FUZZ_KEEP),fuzz-kept) \
		$(BIN)/pytest -s tests/fuzz

# After a change of constraints.txt or pyproject.toml; uv is fetched for it.
lock: setup
	$(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet uv
	build/uv/bin/uv pip compile pyproject.toml --extra dev -c constraints.txt --generate-hashes --universal \
		--python-version 3.11 --no-header --quiet --output-file build/requirements.lock
	{ head -n 2 requirements.lock; cat build/requirements.lock; } > build/lock && mv build/lock requirements.lock
	$(BIN)/python -m tests.docs.licences

# What a release was made with, as CycloneDX, in build/; cyclonedx-bom is fetched for it.
sbom:
	$(PYTHON) -m venv build/sbom && build/sbom/bin/pip install --quiet cyclonedx-bom
	build/sbom/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type library \
		--output-reproducible --output-format JSON --output-file build/untrimmed.cdx.json

clean:
	rm -rf .venv node_modules demo-out build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
