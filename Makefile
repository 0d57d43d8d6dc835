# `make` lists the targets. Every target sets up what it needs.
SHELL = /bin/sh
VENV = .venv
PYTHON_IN_VENV = $(VENV)/bin/python
# Two test processes with one thread each are quicker than one process with two. Files go to them in their order: the
# long trainings of tests/e2e have few tests, and xdist would begin with them last.
TEST_JOBS = 2
TESTS = tests
FUZZ_MINUTES = 10
EXP = 900
PYTHONS = 3.13 3.14

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: ## install everything into .venv (Python 3.10 to 3.14)
	@VENV="$(VENV)" sh .ci/setup.sh

demo: setup ## generate data, train source-only, DAFormer and EBDA, print the comparison, make its report
	@"$(PYTHON_IN_VENV)" -m demo.run_demo

repeat: setup ## an experiment of docs/results.md, its data included (EXP=900; for CamVid see docs/datasets.md)
	@"$(PYTHON_IN_VENV)" tools/repeat.py $(EXP)

test: lint ## all tests (TESTS=tests/unit for a part of them)
	OMP_NUM_THREADS=1 "$(PYTHON_IN_VENV)" -m pytest -r fEs -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

test-pythons: setup ## a few tests on further Pythons, where they are found (PYTHONS="3.13 3.14")
	"$(PYTHON_IN_VENV)" .ci/test_python.py $(PYTHONS)

wheel: setup ## dist/: wheels of the package, with configs and programs, and of mmcv-full
	rm -rf build/lib dist
	"$(PYTHON_IN_VENV)" -m pip wheel --quiet --no-deps --wheel-dir dist .
	cp $(VENV)/wheels/mmcv_full-*.whl dist

fuzz: setup ## random label files, statistics and configs for ten minutes (FUZZ_MINUTES=10)
	OMP_NUM_THREADS=1 FUZZ_MINUTES=$(FUZZ_MINUTES) "$(PYTHON_IN_VENV)" -m pytest -r fE -o log_cli=true tests/e2e/test_fuzz.py

lint: setup ## style, commented-out code, complexity, imports against the floors, types
	"$(PYTHON_IN_VENV)" -m ruff check .
	"$(VENV)/bin/lint-imports" --no-cache
	"$(PYTHON_IN_VENV)" -m mypy
	"$(VENV)/bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	"$(VENV)/bin/check-jsonschema" --quiet --builtin-schema vendor.citation-file-format CITATION.cff

docs: setup ## build/site: docs/ as a site with pages of the API; a broken link fails
	NO_MKDOCS_2_WARNING=1 "$(PYTHON_IN_VENV)" -m mkdocs build --strict

clean-demo: ## remove what `make demo` made
	rm -rf work_dirs/demo data/streets

clean-cache: ## remove caches and build results
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-venv: ## remove the environments
	rm -rf "$(VENV)" .venv-3.*

.PHONY: help setup demo repeat docs test test-pythons wheel fuzz lint clean-demo clean-cache clean-venv
