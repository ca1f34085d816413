# finkray: `make help` lists the targets.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PREPARED := $(VENV)/.prepared
PIP    = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# A third of the packages' code: their own tests, and parts of Ray that nothing here uses.
NEVER_LOADED := /tests?/|/ray/(rllib|llm|tune|train|serve)/|/(pip|setuptools|mypy|mypyc)/

ALERTS  ?= 10000
NIGHT_ALERTS ?= 100000
DATA    ?=
ARCHIVE ?=
KILLS   ?= 12
CLAIMS  ?= 20000
TAKE_OVERS ?= 1000
OUTAGE_S ?= 60
STORES  ?= folder or s3 or hdfs
JOBS    ?= 2

export GRADIO_ANALYTICS_ENABLED := False
export RAY_USAGE_STATS_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help setup environment demo live test test-archives test-beside test-unit-finkray test-unit-others test-unit test-nightly check format chaos chaos-stores chaos-streamout take-overs store-kills soak bench bench-quick bench-scaling bench-services bench-store bench-outliers bench-streamout bench-page lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(PREPARED)  ## make the environment: everything pinned, with hashes

environment: $(READY)  # the packages alone

$(READY): requirements.lock pyproject.toml
	@echo "Installing the environment into $(VENV): about 175 packages, 2.4 GB, once"
	@$(PYTHON) -m venv $(VENV) || { echo "finkray needs Python 3.11: make PYTHON=/path/to/python3.11"; exit 1; }
	@sed -n '/^uv==/,/^ *#/p' requirements.lock > $(VENV)/uv.lock
	@$(PIP) --require-hashes -r $(VENV)/uv.lock
	@index=$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null)}; \
	 [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"; \
	 $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	 || { echo "uv cannot install the packages; pip tries, which takes longer"; $(PIP) --require-hashes -r requirements.lock; }
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q actors catalogs finkray jobs sim ui  # where Python itself may not write it
	@$(BIN)/python -m compileall -qq -j 0 -x '$(NEVER_LOADED)' $(VENV)/lib || true  # some templates do not compile
	@touch $@

$(PREPARED): $(READY)
	@$(BIN)/finkray prepare || echo "Without it each start of Spark takes some seconds longer."
	@touch $@

demo: $(PREPARED)  ## a night from Kafka to Parquet: ALERTS=N, DATA=folder or tar of packets, SCHEMAS=folder of theirs, ARCHIVE=folder
	@$(BIN)/python -m jobs.commands.demo --alerts $(ALERTS) $(if $(DATA),--data "$(DATA)") $(if $(SCHEMAS),--schemas "$(SCHEMAS)") $(if $(ARCHIVE),--archive "$(ARCHIVE)")

live: $(PREPARED)  ## archive, simulator with a strange sky, classes, outliers and the page, until Ctrl-C: ARCHIVE=folder
	@$(BIN)/python -m jobs.commands.live $(if $(ARCHIVE),--archive "$(ARCHIVE)")

# Four lines side by side, which mostly wait: for a lease, an election, a first micro-batch. Together they
# have each test once, but for those that are left to `make test-nightly`. Two have servers: each line a Kafka of
# its own, and one archive at a time at most. Servers take a sixth of a core where they wait, so a third line would
# take more of two cores than it fills. The others are the unit tests, in two halves, which take what the servers leave
# of the cores. That may be little for minutes, and a test of six seconds took 300 once: only a test that hangs takes
# 20 minutes. Lines of all but the archives begin with their names, so that each line shows as it comes; Ctrl-C (2 of
# pytest) ends all of them.
SLOWEST := --durations 25 --durations-min 5
PYTEST  := $(BIN)/python -m pytest $(SLOWEST)
NAMED   := test-beside test-unit-finkray test-unit-others
test: $(PREPARED)  ## the suite of each commit, with a real Kafka, Ray and Spark
	@$(MAKE) --no-print-directory -j 4 test-archives test-beside test-unit-finkray test-unit-others

test-archives: $(PREPARED)  ## archives, and what else needs a Ray
	@$(PYTEST) -m "(spark or ray) and not nightly" tests/integration

$(NAMED): SHELL := /bin/bash
$(NAMED): .SHELLFLAGS := -o pipefail -c
# Ctrl-C ends what the pipe reads.
$(NAMED): NAME = 2>&1 | { trap '' INT; sed -u 's/^/$(subst -, ,$(subst test-,,$@)) | /'; }
test-beside: $(PREPARED)  ## Kafka, object stores and HDFS, services, pages
	@$(PYTEST) -m "not spark and not ray and not nightly" tests/integration $(NAME)

test-unit-finkray: $(PREPARED)  ## the unit tests of finkray/
	@nice -n 15 $(PYTEST) --timeout 1200 -m "not nightly" tests/unit/finkray $(NAME)

test-unit-others: $(PREPARED)  ## the other unit tests
	@nice -n 15 $(PYTEST) --timeout 1200 -m "not nightly" tests/unit --ignore tests/unit/finkray $(NAME)

test-unit: $(READY)  ## the unit tests
	@$(PYTEST) -n $(JOBS) --dist loadfile -m "not nightly" tests/unit

test-nightly: $(PREPARED)  ## what costs too much for each commit: long tests, many examples, each kind of process killed
	@FINKRAY_CHAOS_KILLS=11 $(PYTEST) -m nightly tests
	@FINKRAY_CHAOS_KILLS=11 $(PYTEST) -m "chaos and spark and not nightly" tests/integration
	@FINKRAY_EXAMPLES=10 $(PYTEST) --timeout 3600 -m "hypothesis and not nightly" tests/unit
	@FINKRAY_MUTANTS=10 $(PYTEST) --timeout 3600 tests/unit/finkray/packets/test_decode_mutants.py

check: $(READY)  ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## put the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

chaos: $(PREPARED)  ## kill processes at random under a stream with every trouble at once: KILLS=N
	@FINKRAY_CHAOS_KILLS=$(KILLS) $(BIN)/python -m pytest tests/integration/test_chaos.py -s --timeout 7200 -o faulthandler_timeout=0

chaos-stores: $(READY)  ## kill writers of an archive and its store, with lost answers and an outage: KILLS=N OUTAGE_S=N STORES="s3 or hdfs"
	@KILLS=$(KILLS) OUTAGE_S=$(OUTAGE_S) $(BIN)/python -m pytest tests/integration/test_competing_archives.py -s -k "killed and ($(STORES))" -o faulthandler_timeout=0

chaos-streamout: $(READY)  ## kill the process that sends alerts at random, and stop one more for each four kills: KILLS=N
	@FINKRAY_STREAMOUT_KILLS=$(KILLS) FINKRAY_STREAMOUT_ZOMBIES=$$(($(KILLS) / 4)) $(BIN)/python -m pytest tests/integration/streamout/test_killed.py -s --timeout 14400 -o faulthandler_timeout=0

take-overs: $(READY)  ## take an archive over from holders that sleep and wake up: TAKE_OVERS=N STORES="s3 or hdfs"
	@TAKE_OVERS=$(TAKE_OVERS) $(BIN)/python -m pytest tests/integration/test_competing_archives.py -s -k "slept and ($(STORES))" -o faulthandler_timeout=0

store-kills: $(READY)  ## kill builds of nights and of the object index at random: KILLS=N
	@FINKRAY_STORE_KILLS=$(KILLS) $(BIN)/python -m pytest tests/unit/catalogs/nights/test_killed.py tests/unit/catalogs/nights/test_all_nights.py -s --timeout 7200 -o faulthandler_timeout=0

soak: $(PREPARED)  ## a long run, in which nothing may grow: CLAIMS=N
	@FINKRAY_SOAK_CLAIMS=$(CLAIMS) $(BIN)/python -m pytest tests/integration/test_soak.py -s -o faulthandler_timeout=0

bench: $(PREPARED)  ## compare the rates with a bare loop and Fink's two pipelines
	@$(BIN)/python -m bench

bench-quick: $(PREPARED)  ## the ratio to the bare loop alone, in three minutes
	@$(BIN)/python -m bench --chains finkray,bare-loop --feeds containers,bare --alerts 30000 --warm-after 10000 --rounds 1 --visit 0 --lsst-visit 0

bench-scaling: $(PREPARED)  ## what partitions, actors, and the sizes of claims and packets do
	@$(BIN)/python -m bench.scaling

bench-services: $(PREPARED)  ## the cross-match beside astropy's, 1 and 20 million sources; classify; services beside the archive
	@$(BIN)/python -m bench.crossmatch
	@$(BIN)/python -m bench.classify
	@$(BIN)/python -m bench.beside

bench-store: $(PREPARED)  ## the files of a trickle; the HATS collection of a night: NIGHT_ALERTS=N; the object index
	@$(BIN)/python -m bench.trickle
	@$(BIN)/python -m bench.hats_night --alerts $(NIGHT_ALERTS)
	@$(BIN)/python -m bench.object_index --alerts $(NIGHT_ALERTS)
	@$(BIN)/python -m bench.periods

bench-outliers: $(PREPARED)  ## how well outliers are found: strange kinds, a real event, nights, thumbs, reasons, speed; how soon
	@$(BIN)/python -m bench.outliers
	@$(BIN)/python -m bench.outliers.latency

bench-streamout: $(PREPARED)  ## alerts/s through filters into Kafka, beside Spark's sink; how soon a subscriber has them
	@$(BIN)/python -m bench.streamout --alerts 6000 --peers lite:10,full:10,cutouts:10
	@$(BIN)/python -m bench.streamout_latency
	@$(BIN)/python -m bench.beside_streamout

bench-page: $(READY)  ## what a tab of the first page costs: bytes, CPU of the server, heap; and 50 viewers
	@$(BIN)/python -m bench.page

lock:  ## pin the packages of all extras again (after make setup)
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra broker --extra dev pyproject.toml -o requirements.lock

clean:  ## remove the environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
