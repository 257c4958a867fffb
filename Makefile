# `make demo` and `make test` need nothing but Python 3.11 or newer and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo figures notebooks test check bench format docs verify clean

## A new virtual environment with the exact versions of constraints.txt.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@start=$$(date +%s); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]' && \
	echo "installation: $$(( $$(date +%s) - start )) s"
	@touch $@

## The main job on the built-in collection: trains ANCE and DANCE, compares them, writes demo/.
demo: $(STAMP)
	$(BIN)/anisotropy demo

## Every figure and table that a results folder gives, as PDF, PNG and LaTeX:
## make figures RESULTS=… OUT=…; without RESULTS that of the demo, which is made if it is not there.
RESULTS ?= demo/compare
OUT ?= build/figures
figures: $(STAMP) $(filter demo/compare/results.json,$(RESULTS)/results.json)
	$(BIN)/python figures/drawing.py --results $(RESULTS) --out $(OUT)

demo/compare/results.json: | $(STAMP)
	$(BIN)/anisotropy demo

## The analysis notebooks, executed on the checkpoints of the demo into analyses/notebooks/executed.
notebooks: $(STAMP)
	@test -e demo/dance.ckpt || test -n "$$ANISOTROPY_DANCE" || $(BIN)/anisotropy demo
	$(BIN)/python analyses/notebooks/execute.py --out analyses/notebooks/executed

## The whole test suite.
test: $(STAMP) check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=5

## Lint, format and types.
check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## Every speed case against its peer and the machine's limits, and docs/benchmarks.md of it. Small
## takes two to three minutes, make bench BENCH=full three quarters of an hour, on an idle machine.
BENCH ?= small
bench: $(STAMP)
	$(if $(filter small full,$(BENCH)),,$(error BENCH: got $(BENCH); allowed: small, full))
	$(BIN)/python -m benchmarks $(if $(filter full,$(BENCH)),--full)
	$(BIN)/python -m benchmarks.page benchmarks/results/$(BENCH).json

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## The definition pages in docs/measures, from the registry.
docs: $(STAMP)
	$(BIN)/anisotropy measures --out docs/measures

## Tests against reference arrays and real collections, where they are at hand:
## make verify ANISOTROPY_ORACLE=… ANISOTROPY_REAL_DATA=…
verify: $(STAMP)
	$(BIN)/python -m pytest -m "oracle or real_data"

clean:
	rm -rf $(VENV) demo build dist
