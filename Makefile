# `make demo` and `make test` need nothing but Python 3.11 or newer, which brings Node.js and Java as packages where the
# system has none; `make help` lists the rest. Without make: CONTRIBUTING.md has the same as commands.

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready
DEMO_READY := $(VENV)/.ready-demo
EXAMPLES_READY := $(VENV)/.ready-examples
BENCH_READY := $(VENV)/.ready-bench
MUTANTS_READY := $(VENV)/.ready-mutants
RELEASE_READY := $(VENV)/.ready-release
WORKERS ?= 2
MUTANTS ?= 200
SEED ?= 1
MINUTES ?= 120
JSON_TESTS ?= tests/unit tests/property tests/integration/embedded_engine \
	$(addprefix tests/integration/test_,batching.py documents.py large_replies.py queries.py replies.py transactions.py unit_of_work.py writes.py)
PATHS_TESTS := tests/integration tests/compat/parity --ignore tests/integration/cli --ignore tests/integration/maintenance

.PHONY: help demo serve orders orders-api shop shop-api test long reliability paths json parity interop javascript test-minimum test-graphene release-check coverage mutants bench profile check lint types docs docs-serve format engines clean

help:  ## this list
	@$(PYTHON) -c "import re; [print(f'{name:14}{text}') for name, text in re.findall(r'^([a-z-]+):.*?## +(.*)', open('Makefile', encoding='utf-8').read(), re.M)]"

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say which: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# The first thing that a newcomer runs: only what it imports, and not compiled, as it imports few modules of that.
$(DEMO_READY): setup.cfg | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile -e '.[demo]'
	@touch $@

$(EXAMPLES_READY): setup.cfg | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[examples]'
	@touch $@ $(DEMO_READY)

$(READY): setup.cfg | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install -qq --upgrade pip
	$(BIN)/python -m pip install -qq -e '.[dev]'
	@touch $@ $(DEMO_READY) $(EXAMPLES_READY)

$(BENCH_READY): setup.cfg $(READY)
	$(BIN)/python -m pip install -qq -e '.[bench]'
	@touch $@

$(MUTANTS_READY): setup.cfg $(READY)
	$(BIN)/python -m pip install -qq -e '.[mutants]'
	@touch $@

$(RELEASE_READY): setup.cfg $(READY)
	$(BIN)/python -m pip install -qq -e '.[release]'
	@touch $@

demo: $(DEMO_READY)  ## load the metadata of all installed packages and show how often each page waits for DynamoDB
	$(BIN)/python -m examples.package_explorer demo

serve: $(DEMO_READY)  ## the same as web pages with their traces, on http://127.0.0.1:5000
	$(BIN)/python -m examples.package_explorer serve

orders: $(EXAMPLES_READY)  ## the orders of two shops as web pages in Flask, on http://north.localhost:5000
	$(BIN)/python -m examples.orders serve

orders-api: $(EXAMPLES_READY)  ## the same for programs in FastAPI, on http://127.0.0.1:5000/docs
	$(BIN)/python -m examples.orders serve --fastapi

shop: $(EXAMPLES_READY)  ## the shop of the tutorial in Flask, on http://127.0.0.1:5000; it prints requests to send
	$(BIN)/python -m examples.shop

shop-api: $(EXAMPLES_READY)  ## the same in FastAPI
	$(BIN)/python -m examples.shop --fastapi

engines: $(READY)  ## fetch the DynamoDB engines that the tests run on
	$(BIN)/python -m tests.support.fetch_engines

javascript: $(READY)  ## install the JavaScript library that shared tables are tested with
	$(BIN)/python -m tests.compat.interop.install

test: $(READY) engines javascript  ## the whole suite, on all engines
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

long: $(READY) engines javascript  ## the promises that random and many-threaded tests hold, at full size: about an hour
	BAO_EXAMPLES=10000 $(BIN)/python -m pytest --timeout 0 -n $(WORKERS) -s tests/property/test_sessions.py --engine moto,dynoxide
	BAO_EXAMPLES=1500 $(BIN)/python -m pytest --timeout 0 -n $(WORKERS) -s tests/property/test_stored_values.py tests/property/test_filters.py tests/property/test_derived_attributes.py --engine moto,dynoxide
	BAO_EXAMPLES=4000 $(BIN)/python -m pytest --timeout 0 -n $(WORKERS) -s tests/property/test_own_errors.py tests/property/test_overtaken_lists.py tests/property/test_merged_changes.py --engine moto,dynoxide
	BAO_EXAMPLES=10000 $(BIN)/python -m pytest --timeout 0 -s tests/property/test_two_programs.py --engine dynoxide
	BAO_EXAMPLES=1000 $(BIN)/python -m pytest --timeout 0 -s tests/property/test_two_programs.py --engine moto
	BAO_EXAMPLES=2000 $(BIN)/python -m pytest --timeout 0 -n $(WORKERS) -s tests/property/test_has_many.py --engine moto,dynoxide
	BAO_EXAMPLES=3000 $(BIN)/python -m pytest --timeout 0 -s tests/property/test_graphql.py
	BAO_EXAMPLES=2000 $(BIN)/python -m pytest --timeout 0 -s tests/property/test_engine_histories.py
	BAO_ROUNDS=500 BAO_ITEMS=1000000 $(BIN)/python -m pytest --timeout 0 -s tests/integration/test_concurrency.py tests/integration/test_iteration.py tests/property/test_derived_attributes.py -k "tenants_never_cross or one_winner or no_update_is_lost or memory_stays_flat or under_threads" --engine dynoxide
	BAO_USES=2000 $(BIN)/python -m pytest --timeout 0 -s tests/integration/embedded/test_request_sessions.py -k at_random --engine dynoxide
	BAO_REQUESTS=10000 $(BIN)/python -m pytest --timeout 0 -s tests/integration/test_web_servers.py --engine dynoxide
	BAO_EXAMPLES=2000 BAO_ROUNDS=15 $(BIN)/python -m pytest --timeout 0 -s tests/compat/interop/test_histories.py tests/compat/interop/test_at_once.py --engine dynoxide
	BAO_TRIES=10000 $(BIN)/python -m pytest --timeout 0 -s tests/integration/test_suspended_generators.py --engine moto
	BAO_REPLIES=10000 BAO_MUTATIONS=100000 $(BIN)/python -m pytest -s tests/integration/test_replies.py --engine moto
	BAO_INSTRUCTION_STEP=1 $(BIN)/python -m pytest --timeout 0 -s tests/integration/test_interrupts.py --engine moto

reliability: $(READY) engines  ## the tests of the numbered promises, for docs/understand/guarantees.md
	$(BIN)/python -m pytest -n $(WORKERS) --engine moto,dynoxide --promises --promises-to build/promises.json
	$(BIN)/python -m tests.support.promise_page build/promises.json

paths: $(READY) engines  ## the tests of requests by each way of sending: both, compared, and botocore alone
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --engine moto,dynoxide --request-path twin $(PATHS_TESTS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --engine moto,dynoxide --request-path botocore $(PATHS_TESTS)

json: $(READY) engines  ## the tests of values, requests and replies without orjson; more: JSON_TESTS="tests/unit tests/integration"
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --engine moto,dynoxide --json msgspec $(JSON_TESTS)

parity: $(READY)  ## how much of what the JavaScript library does is carried over, by area; and the page on its features
	$(BIN)/python -m tests.compat.parity.report -n $(WORKERS)
	$(BIN)/python -m tests.compat.parity.features

interop: $(READY) engines javascript  ## tables shared with JavaScript: both libraries, run on the same tables
	$(BIN)/python -m pytest tests/compat/interop --engine dynoxide
	$(BIN)/python -m pytest tests/compat/interop --engine dynamodb-local

test-minimum:  ## the suite with the oldest versions of what is needed, in a virtual environment of its own
	$(PYTHON) -m venv --clear .venv-minimum
	.venv-minimum/bin/python -m pip install -qq -c constraints-minimum.txt -e '.[embedded,nested,flask,django,fastapi,celery,cli,examples,orjson,strawberry]' pytest pytest-timeout pytest-xdist anyio asgiref starlette hypothesis httpx uvicorn greenlet gevent gunicorn waitress opentelemetry-sdk ruff
	.venv-minimum/bin/python -m pytest -n $(WORKERS) --engine moto,dynoxide tests/unit tests/property tests/integration tests/docs

# Graphene needs graphql-core 3.2, and the newest Strawberry, which `make test` uses, needs 3.3.
test-graphene:  ## GraphQL on graphql-core 3.2, with Graphene and the oldest Strawberry, in a virtual environment of its own
	$(PYTHON) -m venv --clear .venv-graphene
	.venv-graphene/bin/python -m pip install -qq -e '.[embedded,strawberry,graphene]' strawberry-graphql==0.284.4 graphene==3.3 graphql-core==3.2.11 pytest pytest-timeout pytest-xdist hypothesis
	.venv-graphene/bin/python -m pytest -n $(WORKERS) --engine moto,dynoxide tests/property/test_graphql.py tests/integration/test_graphene.py tests/integration/test_strawberry.py

# Pythons that are not installed are skipped, and listed as such at the end.
release-check: $(RELEASE_READY) engines javascript  ## build the package, install it elsewhere, and test it there with each Python
	$(BIN)/python -m tox run --skip-missing-interpreters true

coverage: $(READY) $(MUTANTS_READY) engines javascript  ## the lines and branches that no test runs: about 15 minutes
	rm -rf build/coverage && mkdir -p build/coverage
	-$(BIN)/python -m coverage run --rcfile tests/coverage.toml -m pytest -n $(WORKERS) --dist loadfile
	$(BIN)/python -m coverage combine --rcfile tests/coverage.toml
	$(BIN)/python -m coverage report --rcfile tests/coverage.toml

# cosmic-ray changes files in a copy of the tree. mutmut is faster, but runs functions through frames of its own, and
# this library looks at frames to say which line of a program asked for a request, so its tests fail without any mutant.
mutants: $(READY) $(MUTANTS_READY)  ## whether tests notice changed code, by room: MUTANTS=200 SEED=1 MINUTES=120
	$(BIN)/python -m tests.mutation --number $(MUTANTS) --seed $(SEED) --minutes $(MINUTES) --jobs $(WORKERS)

lint: $(READY)  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy --strict and pyright
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(READY)  ## put the code into its one style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## the documentation as a site in docs/_build/html; a broken link or reference is an error
	rm -rf docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html

docs-serve: docs  ## the same on http://127.0.0.1:8001
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory docs/_build/html 8001

check: lint types docs test json  ## everything that has to pass before a change lands

bench: $(READY) $(BENCH_READY) engines  ## speed beside boto3, PynamoDB, dyntastic and pydynox, for docs/understand/performance.md; BENCH_ROUNDS=21
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.objects
	$(BIN)/python -m benchmarks.rounds

profile: $(READY)  ## where the CPU of each operation goes, and through how many modules a call travels
	$(BIN)/python -m benchmarks.profile
	$(BIN)/python -m benchmarks.profile --write
	$(BIN)/python -m benchmarks.trips

clean:  ## remove the virtual environment, fetched engines and caches
	rm -rf $(VENV) .tox .venv-minimum .venv-graphene .engines .mypy_cache .ruff_cache .pytest_cache .hypothesis build docs/_build *.egg-info
