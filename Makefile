# `make serve` and `make test` are enough to begin. Each makes the environment that it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt --editable
PYTHON310 ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python) $(shell command -v python3.10))

.PHONY: serve test integration lint soak fuzz live screenshots lowest audit lock bench clean docs sbom release-check mutate

serve: $(VENV)/.serve
	$(BIN)/healthimaging-emulator serve

test: $(VENV)/.test
	$(BIN)/pytest --cov -n 2 --dist worksteal $(INTEGRATION:%=--ignore tests/%)

# The tests that install environments or start other programs: programs that others have published, the console in
# Chromium, balancers, uv's resolver, the site of the documents.
INTEGRATION := clients/test_mcp_server.py clients/test_software.py console scale test_environments.py test_setting_up.py \
    test_site.py
integration: $(VENV)/.test
	$(BIN)/pytest -n 2 --dist loadfile $(INTEGRATION:%=tests/%)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/actionlint -shellcheck= -pyflakes=
	$(BIN)/zizmor --offline --quiet .github/workflows

# The documentation as a site, in the folder site.
docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict

soak: $(VENV)/.test
	SOAK=60 $(BIN)/pytest tests/test_soak.py tests/test_concurrency.py tests/test_disturbed.py tests/scale --durations 0

fuzz: $(VENV)/.test
	FUZZ=long $(BIN)/pytest tests/fuzz

# A tenth of the mutants of each module, the same in every run; MUTATE='--share 1 --module aws' for more, or others.
mutate: $(VENV)/.mutate
	nice $(BIN)/python -m tests.mutation $(MUTATE)

# Asks AWS, with HEALTHIMAGING_LIVE=1, where the emulator had to choose; otherwise the emulator itself.
live: $(VENV)/.test
	$(BIN)/python -m tests.live

# The pictures of the console in the documents.
screenshots: $(VENV)/.test
	$(BIN)/python -m tests.console.screenshots

# The lowest versions that pyproject.toml allows, on the lowest Python. Left out are tests that install environments of their
# own, and those that do not depend on the versions.
NOT_LOWEST := clients console fuzz scale test_documents.py test_environments.py test_errors_page.py test_examples.py \
    test_expressions.py test_package.py test_setting_up.py test_site.py test_soak.py
lowest: $(VENV)/.test
ifeq ($(PYTHON310),)
	@echo "The lowest versions are not tried: there is no Python 3.10 here. PYTHON310=... says where one is."
else
	$(BIN)/uv venv --quiet --clear --python $(PYTHON310) $(VENV)/lowest
	$(BIN)/uv pip compile --quiet --no-header --resolution lowest-direct --upgrade --only-binary :all: --python $(VENV)/lowest \
	    --extra frames --extra pytest --extra sigv4 --extra tls pyproject.toml --output-file $(VENV)/lowest.txt
	$(BIN)/uv pip install --quiet --python $(VENV)/lowest --constraint $(VENV)/lowest.txt --editable '.[frames,pytest,sigv4,tls]' --group lowest
	$(VENV)/lowest/bin/pytest -n 2 -m "not newest_boto3 and not newest_click and not frames" $(NOT_LOWEST:%=--ignore tests/%)
endif

audit: $(VENV)/.audit
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

# The Python packages of the image, with their versions and licences, in CycloneDX.
sbom: $(VENV)/.audit
	$(BIN)/uv venv --quiet --clear $(VENV)/image
	$(BIN)/uv pip install --quiet --python $(VENV)/image --constraint constraints.txt '.[dicom,sigv4,tls]'
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/image.cdx.json $(VENV)/image

release-check: | $(VENV)
	$(BIN)/python -m tests.release "$(TAG)"

lock: $(VENV)/.test
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --all-extras --group test --group lint --group bench \
	    --group audit --group docs --group mutate --upgrade --no-annotate --no-header pyproject.toml --output-file constraints.txt

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .clients site

$(VENV)/.serve: pyproject.toml constraints.txt | $(VENV)
	$(INSTALL) '.[boto3,frames]'
	touch $@

$(VENV)/.lint: pyproject.toml constraints.txt | $(VENV)
	$(INSTALL) '.[frames,pytest,sigv4,tls]' --group test --group lint
	touch $@

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)
	$(INSTALL) . --group docs
	touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(VENV)
	$(INSTALL) '.[boto3,dicom]' --group bench
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)
	$(INSTALL) '.[frames,pytest,sigv4,tls]' --group test
	touch $@

$(VENV)/.mutate: pyproject.toml constraints.txt | $(VENV)
	$(INSTALL) '.[frames,pytest,sigv4,tls]' --group mutate
	touch $@

$(VENV)/.audit: pyproject.toml constraints.txt | $(VENV)
	$(INSTALL) . --group audit
	touch $@

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	    || { echo "$(PYTHON) is too old or not there: Python 3.10 or newer is needed; PYTHON=... says where one is"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet 'pip>=25.1' # which knows dependency groups
