# Two commands do everything: `make serve` and `make test`. Each makes the environment that it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: serve test lint bench clean

serve: $(VENV)/.serve
	$(BIN)/healthimaging-emulator serve

test: $(VENV)/.test
	$(BIN)/pytest --cov

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .clients

$(VENV)/.serve: pyproject.toml | $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.bench: pyproject.toml | $(VENV)
	$(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

$(VENV)/.lint: pyproject.toml | $(VENV)
	$(BIN)/pip install --quiet --editable '.[test,lint]'
	touch $@

$(VENV):
	$(PYTHON) -m venv $(VENV)
