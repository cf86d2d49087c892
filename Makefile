PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test check clean

demo: .venv/.package
	$(BIN)/misure demo --out demo

test: .venv/.developer
	$(BIN)/pytest

check: .venv/.developer
	scripts/check

.venv/.package: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.developer: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/.package

clean:
	rm -rf .venv demo
