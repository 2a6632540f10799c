# Two commands do all their own set-up and are safe to repeat: `make demo`, `make test`.

PYTHON ?= python3
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-all lint clean

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Thresher needs Python 3.11, 3.12 or 3.13; this is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e '.[demo]'
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/pip install --quiet -e '.[dev,models,ocr]'
	@touch $@

demo: $(VENV)/ready
	$(BIN)/thresher demo-pool $(DEMO)/pool --seed $(SEED)
	cd $(DEMO) && ../$(BIN)/thresher run demo --run run
	$(BIN)/thresher demo-check $(DEMO)/pool --run $(DEMO)/run

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest

test-all: lint
	$(BIN)/pip install --quiet wids==0.1.11 -e ".[train]"
	$(BIN)/pytest -m 'not gpu'

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
