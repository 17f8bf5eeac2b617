# `make demo` runs the recorded clip through the application; `make lint` checks style and types;
# `make test` runs the tests in a few minutes, `make test-all` the slow ones too. Beside make itself
# all need only Python 3.10 or newer and set up all else in $(VENV).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# The tests of a file stay on one worker (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder

.PHONY: demo lint format test test-all clean

demo: $(VENV)/runtime
	@mkdir -p demo
	@rm -f demo/annotated.mp4 demo/faces.jsonl
	$(BIN)/ipd-fer demo --folder demo

lint: $(VENV)/everything
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/everything
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: $(VENV)/everything
	$(PYTEST) -m "not slow"

test-all: $(VENV)/everything
	$(PYTEST) --durations 20

$(VENV)/runtime: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/everything: pyproject.toml $(VENV)/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[train,test,dev]"
	@touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info .ruff_cache .mypy_cache .pytest_cache
