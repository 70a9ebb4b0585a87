# Verbs: demo, test, lint, format-c, build, proto, bench, clean. All set-up happens in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
# Some checkers start others by name.
export PATH := $(abspath $(BIN)):$(PATH)
C_SOURCES := $(shell find core server tests -name '*.h' -o -name '*.c')
SOURCES := $(shell find core runtime server bench -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.c')

.PHONY: demo test lint format-c build proto bench clean
.NOTPARALLEL:

demo: .stamp-demo .stamp-build
	$(BIN)/gnomon demo $(DEMO)

test: .stamp-test .stamp-build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cython-lint $(filter %.pyx %.pxd,$(SOURCES))
	$(BIN)/clang-format --dry-run -Werror $(C_SOURCES)
	$(BIN)/pytest --cov --cov-report=term $(PYTEST)

lint: .stamp-test .stamp-build
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy
	$(BIN)/cython-lint $(filter %.pyx %.pxd,$(SOURCES))

format-c: .stamp-test
	$(BIN)/clang-format -i $(C_SOURCES)

build: .stamp-demo .stamp-build

# Installing compiles; what has been installed for tests serves the demo too.
.stamp-demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip "setuptools>=77" "Cython>=3.1,<4" "numpy>=2"
	$(PIP) --no-build-isolation --editable '.[demo]'
	touch $@

.stamp-test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip "setuptools>=77" "Cython>=3.1,<4" "numpy>=2"
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch .stamp-demo $@

.stamp-build: setup.py $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

# Stubs are committed. They are made by a generator old enough for protobuf 6.30 to accept them.
proto:
	$(PYTHON) -m venv build/protoc
	build/protoc/bin/pip install --quiet 'grpcio-tools==1.72.*' 'setuptools<80'
	cd src && ../build/protoc/bin/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --pyi_out=. \
		gnomon/proto/inference.proto gnomon/proto/hub.proto
	cd src && ../build/protoc/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. gnomon/proto/registry.proto
	$(BIN)/python -c 'from pathlib import Path; from gnomon.proto import inference_pb2 as made; \
		Path("proto/inference.binpb").write_bytes(made.DESCRIPTOR.serialized_pb)'

bench: .stamp-demo .stamp-build
	$(PIP) --no-build-isolation --editable '.[demo,bench]'
	$(BIN)/gnomon bench core
	$(BIN)/gnomon bench predict
	$(BIN)/gnomon bench serving
	$(BIN)/gnomon bench drift

clean:
	rm -rf build .stamp-* .mypy_cache .ruff_cache .pytest_cache .coverage
	find core runtime server bench -name '*.so' -delete
