# `make demo` and `make test` work in a fresh clone: they set up `.venv` first. Only python3 (3.11 or later) is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WARM := $(VENV)/.warm
ARGS ?=

.PHONY: setup demo test simulate faults chaos hostile fuzz truth lint bench validators audit lock

setup: $(WARM)

# The project's own files are linked, not copied, so only a change of what it depends on installs again.
$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Driftline needs Python 3.11 or later; set PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The detector's kernels, which only what runs needs.
$(WARM): $(INSTALLED)
	$(BIN)/python -m services.detector.warm
	@touch $@

demo: setup
	$(BIN)/driftline demo $(ARGS)

# Ends with a line that names the Kafka and the Redis that the end-to-end tests ran on, or why they were skipped.
# With REQUIRE_STACK=1 a Kafka or Redis that cannot start is a failure.
# What needs no servers runs on every core, and one that is done takes over from the others; then what does, which mostly
# waits, four side by side, each with a Kafka and a Redis of its own: a file's tests share what they start, and the
# longest files begin. Those brokers live for minutes, which Java's optimising compiler would only take from the tests.
# 5 is pytest's way of saying that ARGS chose no test of that part.
test: setup
	$(BIN)/python -m pytest -m "not e2e" --numprocesses auto --dist worksteal $(ARGS) || test $$? = 5
	JDK_JAVA_OPTIONS="$$JDK_JAVA_OPTIONS -XX:TieredStopAtLevel=1 -XX:+UseSerialGC" \
	$(BIN)/python -m pytest -m e2e --numprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS) || test $$? = 5

# Tells 10,000 stories in which services are killed and stall, and Kafka and Redis lose what they may lose, and compares
# what is left with a fold of the same logs. ARGS="--seed 17" tells one of them, ARGS="--stories 1000" fewer.
simulate: setup
	$(BIN)/python -m tests.simulation $(ARGS)

# Injects faults into real services on a real Kafka and Redis, about an hour: processes that are killed and stand still,
# servers that die, fill up and go back in time, links that fail. A row each; red where something promised does not hold,
# or where nothing shows that the fault happened. ARGS="--only 29" injects one, ARGS="--seed 4 --json" as it was.
faults: setup
	$(BIN)/python -m tests.faults $(ARGS)

# Runs the demo twice, the second time killing every process, Kafka and Redis too, and emptying Redis: counts and
# incidents must be the same, and `verify` clean. ARGS="--rows 2000" takes the beginning of each recording.
chaos: setup
	$(BIN)/python -m tests.faults.undisturbed $(ARGS)

# Puts 62 kinds of hostile input before the services, two of them on a real Kafka, and prints the fate of each.
hostile: setup
	$(BIN)/python -m tests.hostile

# Many thousand hostile bytes for every decoder, then libFuzzer, which looks for those that lead where none has led
# before, and a million malformed events before a shift: an hour. atheris, by which libFuzzer is guided, has no wheel for
# every machine; where it has none that part says so.
fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r .ci/fuzzer.lock || true
	$(BIN)/python -m pytest tests/hostile --hypothesis-profile=fuzz --numprocesses auto --dist worksteal $(ARGS)
	$(BIN)/python -m tests.hostile.guided
	$(BIN)/python -m tests.hostile.malformed

# Simulates what is promised of false alarms and delays: 45 minutes on two cores. ARGS="--scale 0.1" runs a tenth, and
# ARGS="--only NAME" one experiment.
truth: setup
	$(BIN)/python -m tests.truth $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/driftline bench $(ARGS)

# What checks the Dockerfile and the manifests of Kubernetes; without it those tests are skipped, and say so.
validators: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .ci/validators.lock
	.ci/kubectl $(BIN)

# Looks for known vulnerabilities of what is locked. It asks a service on the network, and says so when it cannot.
audit: setup
	.ci/audit $(BIN)

# Pin every dependency anew: Python's by name, version and hash (what services need, and with it what demo and tests
# need; what benchmarks compare with, less what that loads only to draw or to train on graphics cards); Kafka's jars by
# coordinate and hash.
PIN := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
PEERS := services/cli/adapters/peers
lock: setup
	$(PIN) pyproject.toml -o requirements.lock
	$(PIN) --extra stack --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(PIN) $(PEERS)/peers.in --no-emit-package kaleido --no-emit-package nvidia-nccl-cu12 -o $(PEERS)/peers.lock
	$(PIN) --no-deps .ci/validators.in -o .ci/validators.lock
	$(PIN) --no-deps .ci/fuzzer.in -o .ci/fuzzer.lock
	$(PIN) --no-deps .ci/kubectl.in -o .ci/kubectl.lock
	$(BIN)/python -m services.devstack
