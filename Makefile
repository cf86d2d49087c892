PYTHON ?= python3
BIN = .venv/bin
OLDEST = .venv-oldest/bin
NETWORKS = .venv-networks/bin
# One process a core, at most four; idle ones take over tests, neighbours first.
PARALLEL = -n auto --maxprocesses 4 --dist worksteal
# Old releases warn about their own dependencies, so warnings are no errors there. These rooms meet
# the most libraries; `make test-oldest OLDEST_TESTS=tests` runs everything.
OLDEST_TESTS = tests/_util tests/images tests/datasets tests/models tests/methods
INSTALL = -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow test-oldest test-networks check docs clean

demo: .venv/.package
	$(BIN)/misure demo --out demo

test: .venv/.developer
	$(BIN)/pytest $(PARALLEL)

test-slow: .venv/.developer
	$(BIN)/pytest $(PARALLEL) -m slow

test-oldest: .venv-oldest/.developer
	$(OLDEST)/pytest $(PARALLEL) -W default $(OLDEST_TESTS)

# Libraries of networks that need torchvision, whose builds fit the newest torch only.
test-networks: .venv-networks/.developer
	$(NETWORKS)/pytest -W default -m networks tests/networks

check: .venv/.developer
	scripts/check

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

.venv/.package: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(INSTALL) -c constraints.txt -e .
	touch $@

.venv/.developer: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(INSTALL) -c constraints.txt -e '.[dev]'
	touch $@ .venv/.package

# Only what builds the site: it reads the source and needs no torch.
.venv/.docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' \
	  | $(BIN)/python $(INSTALL) -r /dev/stdin
	touch $@

.venv-oldest/.developer: pyproject.toml constraints-oldest.txt
	test -x $(OLDEST)/python || python3.11 -m venv .venv-oldest
	$(OLDEST)/python $(INSTALL) -c constraints-oldest.txt \
	  -e '.[all]' hypothesis onnx onnxscript pytest pytest-xdist
	touch $@

.venv-networks/.developer: pyproject.toml
	test -x $(NETWORKS)/python || $(PYTHON) -m venv .venv-networks
	$(NETWORKS)/python $(INSTALL) -e '.[all,networks]' hypothesis onnx onnxscript pytest pytest-xdist
	touch $@

clean:
	rm -rf .venv .venv-oldest .venv-networks demo build
