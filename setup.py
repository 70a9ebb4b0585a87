"""Compile every `.pyx` under src/gnomon; all other metadata is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

#: Checked indices, C asserts and debug symbols; kept apart from what is built without them.
DEBUG = os.environ.get("GNOMON_DEBUG") == "1"
FLAGS = ["-O1", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"]

#: C sources that belong to an extension, by its file and from its folder.
C_SOURCES = {
    "gnomon/core/blake2b.pyx": ("blake2b_stream.c",),
    "core/trees/model.pyx": ("open.c", "walk.c", "link.c"),
    "bench/generator/loops.pyx": (
        "h2_table.c",
        "honest_law.c",
        "honest_queue.c",
        "honest_answers.c",
        "honest_http1.c",
        "honest_http2.c",
        "honest.c",
        "load_flight.c",
        "load_http1.c",
        "load_http2.c",
        "load_link.c",
        "load_loop.c",
    ),
    "serving/native/target.pyx": ("protobuf.c", "message.c", "elements.c", "answer.c"),
    "serving/native/shadow_queue.pyx": ("shadow_calls.c",),
    "serving/native/route_table.pyx": ("refusal.c",),
    "serving/native/loop.pyx": (
        "h2_library.c",
        "tls_library.c",
        "tls.c",
        "clock.c",
        "handover.c",
        "call.c",
        "call_queue.c",
        "frame_scan.c",
        "framing.c",
        "request_headers.c",
        "response.c",
        "bidi_state.c",
        "servicer.c",
        "unary.c",
        "bidi_inbox.c",
        "bidi.c",
        "http2.c",
        "connection.c",
        "accept.c",
        "timeouts.c",
        "event_loop.c",
    ),
}


def extension(source: Path) -> Extension:
    """Describe one extension; `core/window/codec.pyx` becomes `gnomon.core.window.codec`."""
    module = ".".join(source.with_suffix("").parts[1:])
    names = C_SOURCES.get("/".join(source.parts[-3:]), ())
    return Extension(
        module,
        [str(source), *(str(source.parent / name) for name in names)],
        # This file too, since what it says of C sources decides what they export.
        depends=["setup.py", *map(str, source.parent.glob("*.h"))] if names else [],
        libraries=["dl", "m", "pthread"] if names else [],
        # -g0: an extension with debug symbols weighs 1.1 MB instead of 0.2.
        # Never -ffast-math: it breaks NaN.
        # No fused multiply and add: models give the same numbers on every processor.
        # Hidden: other libraries of the process see only a module's entry.
        extra_compile_args=[*FLAGS, "-fno-math-errno", "-ffp-contract=off", "-fvisibility=hidden"],
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
            *([("GNOMON_DEBUG", "1")] if DEBUG else []),
        ],
    )


setup(
    options={
        "build_ext": {"parallel": os.cpu_count() or 1},
        "build": {"build_base": "build/debug" if DEBUG else "build"},
    },
    ext_modules=cythonize(
        [extension(path) for path in sorted(Path("src").glob("gnomon/*/**/*.pyx"))],
        build_dir="build/debug/cython" if DEBUG else "build/cython",
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": DEBUG,
            "show_performance_hints": not DEBUG,
            "freethreading_compatible": True,
        },
    ),
)
