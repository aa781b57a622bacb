# make demo    set up and show the main job, from drop to OMERO, with real images and the OMERO stand-in
# make test    set up, check the house and run the tests, with a sample of the points of failure
# make check   set up and check the house only: ruff, mypy, import-linter, tests/house
# make tidy    set up and let ruff put the form right
# make faults  set up and try all points of failure, several files of tests at a time; a table comes last. It fails above 40 minutes, or if it was not whole
# make bench   set up and print the figures of benchmarks/
# make lock    bring requirements/ up to date with pyproject.toml (UPGRADE=1: take newer versions)
# make clean   remove the virtual environment and what tools left; the compiled Ice extension stays in its cache
# Variables: PYTHON, DROPBOX_IMPORT_VENV, DROPBOX_IMPORT_CACHE (see tools/setup); TESTS="-k word" goes to pytest.

DROPBOX_IMPORT_VENV ?= $(CURDIR)/.venv
export DROPBOX_IMPORT_VENV
bin = "$(DROPBOX_IMPORT_VENV)"/bin
TESTS ?=

.PHONY: demo test check lint types rooms house faults tidy bench lock clean venv
.DEFAULT_GOAL := demo

demo: venv
	@$(bin)/dropbox-import demo

test: check
	@$(bin)/python -m pytest -q --cov --cov-report=term $(TESTS)

check: lint types rooms house

lint: venv
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .

types: venv
	@$(bin)/mypy
	@$(bin)/mypy --platform win32

rooms: venv
	@$(bin)/lint-imports --no-cache

house: venv
	@$(bin)/python -m pytest -q tests/house

faults: venv
	@$(bin)/python -m tests.support.run_faults $(TESTS)

tidy: venv
	@$(bin)/ruff check --fix --quiet . ; $(bin)/ruff format .

bench: venv
	@$(bin)/python -m benchmarks

venv:
	@tools/setup

lock: venv
	@$(bin)/python -m uv --version >/dev/null 2>&1 || $(bin)/python -m pip install --quiet uv
	@$(bin)/python tools/lock.py $(if $(UPGRADE),--upgrade)

clean:
	rm -rf "$(DROPBOX_IMPORT_VENV)" .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache htmlcov build dist
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
