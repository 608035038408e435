# Everything runs in .venv, which is made from requirements.lock. A fresh machine needs only python3 and make.
# The peers of the benchmark have .venv-bench: the product would load some of their packages, which its users need not have.
# The oldest engine that opens a warehouse has .venv-oldest. If it cannot be installed, the test that needs it is skipped.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
OLDEST_VENV := .venv-oldest
OLDEST_STAMP := $(OLDEST_VENV)/.installed
# What reads the exported files has environments of its own, each with a lock: those that need torch get it from where pip is set up.
CONSUMERS := tests/consumers/requirements
ALL_CONSUMERS := $(basename $(notdir $(wildcard $(CONSUMERS)/*.lock)))
WITH_TORCH := trl trainers
LOCK := $(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-options --no-header

.DEFAULT_GOAL := help
.PHONY: help run-all test test-slow torture test-consumers test-consumers-all accept check format drift sql bench docs lock clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q etl
	@touch $@

$(BENCH_STAMP): requirements-bench.lock pyproject.toml
	python3 -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --require-hashes --requirement requirements-bench.lock
	@touch $@

$(OLDEST_STAMP): requirements-oldest.lock
	-python3 -m venv $(OLDEST_VENV) && \
		$(OLDEST_VENV)/bin/python -m pip install --quiet --require-hashes --requirement requirements-oldest.lock && touch $@

run-all: $(STAMP) ## Run every stage on the bundled sample and publish datasets, warehouse and receipts.
	$(BIN)/etl run-all --known-paths evidence/known-paths.txt

test: $(STAMP) $(OLDEST_STAMP) ## Run the tests (a few minutes).
	$(BIN)/pytest

test-slow: $(STAMP) ## Run the slow tests (ETL_LINES=1000000: more lines; SEEDS=4: fewer random ones).
	ETL_SEEDS=$(or $(SEEDS),12) $(BIN)/pytest -m slow

torture: $(STAMP) ## Kill runs at 300 random moments, make each system call fail, and check what is left (KILLS=30: fewer).
	ETL_KILLS=$(or $(KILLS),300) ETL_INJECTIONS=$(or $(INJECTIONS),all) $(BIN)/pytest -m torture tests/hostile/test_torture.py tests/hostile/test_faults.py

.venv-%/.installed: $(CONSUMERS)/%.lock $(wildcard $(CONSUMERS)/*.alone)
	python3 -m venv .venv-$*
	$(if $(filter $*,$(WITH_TORCH)),.venv-$*/bin/python -m pip install --quiet torch==2.13.0)
	.venv-$*/bin/python -m pip install --quiet --require-hashes --requirement $<
	$(if $(wildcard $(CONSUMERS)/$*.alone),.venv-$*/bin/python -m pip install --quiet --no-deps --require-hashes --requirement $(CONSUMERS)/$*.alone)
	@touch $@

test-consumers: $(STAMP) .venv-trl/.installed ## Train a step with TRL on exported files, and load them (EVIDENCE=DIR: of other evidence).
	$(if $(EVIDENCE),ETL_EVIDENCE=$(abspath $(EVIDENCE))) $(BIN)/pytest -m consumers -n 0 tests/consumers/test_trl.py

test-consumers-all: $(STAMP) $(ALL_CONSUMERS:%=.venv-%/.installed) ## The same, and with other trainers and readers; each gets an environment.
	$(if $(EVIDENCE),ETL_EVIDENCE=$(abspath $(EVIDENCE))) $(BIN)/pytest -m consumers -n 0 tests/consumers

accept: $(STAMP) ## Test every promise of the product on a bundled fixture.
	$(BIN)/etl accept

check: $(STAMP) ## Check lint, types, import contracts and SQL style.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 0 sql etl tests/formats

format: $(STAMP) ## Format Python and SQL.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/sqlfluff fix --processes 0 sql etl tests/formats

drift: $(STAMP) ## Compare the newest run with the one before.
	$(BIN)/etl drift

sql: $(STAMP) ## Query the warehouse: make sql Q="from receipts.funnel"
	$(BIN)/etl sql "$(or $(Q),from receipts.funnel limit 5)"

bench: $(STAMP) $(BENCH_STAMP) ## Measure against peers, itself and lenient reading; see bench/ (hours; LINES=20000 ROUNDS=1: a minute or two).
	$(BENCH_VENV)/bin/python bench/compare.py $(LINES:%=--lines %) $(ROUNDS:%=--rounds %)
	$(BENCH_VENV)/bin/python bench/scenarios.py $(LINES:%=--lines %) $(ROUNDS:%=--rounds %)
	$(BIN)/python bench/strict.py $(LINES:%=--lines %) $(ROUNDS:%=--rounds %)

docs: $(STAMP) ## Write the reference pages in docs/ from the comments and settings.
	$(BIN)/python docs/make_reference.py

lock: $(STAMP) ## Write the lock files, from pyproject.toml and for the oldest engine.
	$(LOCK) --extra dev --output-file requirements.lock pyproject.toml
	$(LOCK) --extra bench --constraint requirements.lock --output-file requirements-bench.lock pyproject.toml
	for needs in $(CONSUMERS)/*.in; do $(LOCK) --unsafe-package torch --output-file $${needs%.in}.lock $$needs; done
	printf 'duckdb>=1.5,<1.6\npytz\n' | $(LOCK) --output-file requirements-oldest.lock -

clean: ## Remove what runs and tools made, except the virtual environments.
	rm -rf warehouse/etl.duckdb* warehouse/.etl exports/rag exports/sft exports/preference exports/quarantine reports/distillation reports/releases releases
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
