# `make demo` runs the recorded clip through the application; `make test` runs the whole suite.
# Beside make itself both need only Python 3.10 or newer and set up all else in $(VENV).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test clean

demo: $(VENV)/runtime
	@mkdir -p demo
	$(BIN)/python -m realtime --source tests/data/astronaut.mp4 --no-display \
		--output demo/annotated.mp4 --jsonl demo/faces.jsonl
	@echo "Written: demo/annotated.mp4 and demo/faces.jsonl"
	@echo "Your own camera: $(BIN)/python -m realtime --camera 0"

test: $(VENV)/everything
	$(BIN)/python -m pytest

$(VENV)/runtime: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/everything: pyproject.toml $(VENV)/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[train,test]"
	@touch $@

clean:
	rm -rf $(VENV) demo *.egg-info
