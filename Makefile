.PHONY: setup demo test pytest test-all check format bench docs clean

PY = .venv/bin/python
# Tests start hundreds of processes. Where bytecode is not written each would compile all again; and
# where it is, those on full disks would leave halves of it.
COMPILE = $(PY) -m compileall -q -j 2 src

setup:            ## install everything into .venv
	@scripts/setup.sh

demo: setup       ## the whole loop on generated churn data, in ./demo
	@rm -rf demo && .venv/bin/ratchet demo demo

test: setup       ## all tests and checks
	@scripts/test_services.sh
	@$(MAKE) -j 2 --no-print-directory check pytest

pytest: setup
	@$(COMPILE)
	@$(PY) -m pytest -q -n 2 --dist loadfile -m "not exhaustive"

test-all: setup   ## the tests of every kill point too (minutes more)
	@scripts/test_services.sh
	@$(COMPILE)
	@$(PY) -m pytest -q -n 2 --dist loadfile

check: setup      ## lint, types, import rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: setup     ## let ruff mend what it can
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

bench: setup      ## the benchmarks behind the numbers in the docs
	@$(PY) benchmarks/overhead.py
	@$(PY) benchmarks/checks.py

docs: setup       ## generate the reference pages
	@$(PY) scripts/reference.py

clean:
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
