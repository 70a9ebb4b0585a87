# Verbs: demo, test, lint, build, proto, bench, clean. All set-up happens in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Some checkers start others by name.
export PATH := $(abspath $(BIN)):$(PATH)
SOURCES := $(shell find core runtime server bench -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.c')

.PHONY: demo test lint build proto bench clean

demo: .stamp-build
	$(BIN)/gnomon demo $(DEMO)

test: .stamp-test .stamp-build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cython-lint $(filter %.pyx %.pxd,$(SOURCES))
	$(BIN)/pytest --cov --cov-report=term $(PYTEST)

lint: .stamp-test .stamp-build
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy
	$(BIN)/cython-lint $(filter %.pyx %.pxd,$(SOURCES))

build: .stamp-build

.stamp-demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77" "Cython>=3.1,<4" "numpy>=2"
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[demo]'
	touch $@

.stamp-test: .stamp-demo
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev]'
	touch $@

.stamp-build: .stamp-demo setup.py $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

# Stubs are committed. They are made by a generator old enough for protobuf 6.30 to accept them.
proto:
	$(PYTHON) -m venv build/protoc
	build/protoc/bin/pip install --quiet 'grpcio-tools==1.72.*' 'setuptools<80'
	cd src && ../build/protoc/bin/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --pyi_out=. \
		gnomon/proto/inference.proto gnomon/proto/hub.proto
	$(BIN)/python -c 'from pathlib import Path; from gnomon.proto import inference_pb2 as made; \
		Path("proto/inference.binpb").write_bytes(made.DESCRIPTOR.serialized_pb)'

bench: .stamp-build
	$(BIN)/python -m pip install --quiet '.[bench]'
	$(BIN)/gnomon bench core
	$(BIN)/gnomon bench drift

clean:
	rm -rf build .stamp-* .mypy_cache .ruff_cache .pytest_cache .coverage
	find core runtime server bench -name '*.so' -delete
