PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test check docs clean

demo: .venv/.package
	$(BIN)/misure demo --out demo

test: .venv/.developer
	$(BIN)/pytest

check: .venv/.developer
	scripts/check

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

.venv/.package: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.developer: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/.package

# Only what builds the site: it reads the source and needs no torch.
.venv/.docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' \
	  | $(BIN)/python -m pip install --quiet --disable-pip-version-check -r /dev/stdin
	touch $@

clean:
	rm -rf .venv demo build
