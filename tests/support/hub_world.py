"""A hub's database with packages, nodes and windows, as nodes would have sent them."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import insert, update

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.reference import FieldReference, Reference
from gnomon.core.window import ANSWERED_CODE, FAILED_CODE, REFUSED_CODE, Window
from gnomon.runtime.packages.profile import Profile, encode_profile
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub.fleet import desired
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.monitoring import labels, predictions, windows
from gnomon.server.hub.monitoring.label_sources import LabelSource
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.clock import now_ms
from gnomon.server.hub.store.database import Database

DAY = 86_400_000


def numeric(name: str, monitored: bool = True) -> FieldReference:
    """A field whose training data were 40,000 standard normal values in eight bins."""
    edges = (-4.0, -1.15, -0.674, -0.319, 0.0, 0.319, 0.674, 1.15, 4.0)
    return FieldReference(
        name,
        "numeric",
        edges=edges,
        counts=(0, *(5_000,) * 8, 0, 0, 0),
        mean=0.0,
        variance=1.0,
        minimum=-4.0,
        maximum=4.0,
        monitored=monitored,
    )


def profile(inputs: Sequence[str] = ("distance", "hour"), unmonitored: str = "") -> Profile:
    return Profile(
        inputs=tuple(Field(name=name, kind=Kind.FLOAT64) for name in inputs),
        rules=(),
        outputs=(Field(name="minutes", kind=Kind.FLOAT64),),
        input_reference=Reference(
            tuple(numeric(name, name != unmonitored) for name in inputs), rows=40_000
        ),
        output_reference=Reference((numeric("minutes"),), rows=40_000),
    )


class World:
    """Does to a hub's database what builders, nodes and people do."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.random = np.random.default_rng(5)
        self._sequence = 0
        self._profiles: dict[str, Profile] = {}
        self._signer = Signer.generate()
        values = {"key": self._signer.public_key.hex(), "name": "world", "added_at": now_ms()}
        with database.write() as connection:
            connection.execute(insert(schema.trusted_key).values(**values))

    def publish(
        self, model: str, version: str, form: str = "onnx", shape: Profile | None = None
    ) -> str:
        shape = shape or profile()
        data = encode_profile(shape)
        digest = hashlib.sha256(f"{model}@{version} {form}".encode() + data).hexdigest()
        self._profiles[digest] = shape
        with self.database.write() as connection:
            connection.execute(
                insert(schema.version).values(
                    digest=digest,
                    name=model,
                    version=version,
                    format=form,
                    manifest={},
                    envelopes=[self._signer.sign_package(digest, model, version).decode()],
                    profile=data,
                    published_at=now_ms(),
                    publisher="builder",
                )
            )
        return digest

    def place(self, model: str, version: str, environment: str = "production") -> None:
        with self.database.change("ada") as change:
            desired.place(change, model, version, environment)

    def node(self, name: str, **values: Any) -> None:
        columns = {"last_seen_at": now_ms(), "digests": [], "spool": {}, "facts": {}, **values}
        with self.database.write() as connection:
            known = connection.execute(
                update(schema.node).where(schema.node.c.name == name).values(**values, name=name)
            )
            if known.rowcount == 0:
                enrolled = {"role": "node", "certificate_serial": "1", "enrolled_at": now_ms()}
                columns = {**enrolled, **columns}
                connection.execute(insert(schema.node).values(name=name, **columns))

    def window(
        self,
        digest: str,
        *,
        node: str = "n1",
        day: int = 0,
        rows: int = 200,
        shift: float = 0.0,
        factor: float = 1.0,
        field: int = 0,
        failed: int = 0,
        refused: int = 0,
        latency_ms: float = 10.0,
        shadow: bool = False,
        length: int = 1,
        received_at: int | None = None,
        environment: str = "production",
    ) -> Window:
        """Send a window of `rows` rows, in which one input is shifted and multiplied."""
        shape = self._profiles[digest]
        window = shape.new_window()
        values = self.random.normal(size=(len(shape.inputs), rows))
        values[field] = values[field] * factor + shift
        _count(window, values, outputs=False)
        _count(window, self.random.normal(size=(1, rows)), outputs=True)
        for code, number in ((ANSWERED_CODE, rows), (FAILED_CODE, failed), (REFUSED_CODE, refused)):
            for nanoseconds in self.random.lognormal(0, 0.1, number) * latency_ms * 1e6:
                window.observe(code, int(nanoseconds))
        self.send(
            digest,
            window,
            node=node,
            day=day,
            shadow=shadow,
            length=length,
            received_at=received_at,
            environment=environment,
        )
        return window

    def send(
        self,
        digest: str,
        window: Window,
        *,
        node: str,
        day: int,
        shadow: bool = False,
        length: int = 1,
        received_at: int | None = None,
        environment: str = "production",
    ) -> None:
        self._sequence += 1
        data = window.to_bytes()
        with self.database.write() as connection:
            known = connection.execute(
                schema.version.select().where(schema.version.c.digest == digest)
            ).one()
            row = {
                "node": node,
                "boot": "b1",
                "sequence": self._sequence,
                "digest": digest,
                "model": known.name,
                "version": known.version,
                "route": known.name,
                "environment": environment,
                "shadow": shadow,
                "started_at": day * DAY,
                "ended_at": (day + length) * DAY,
                "rows": sum(window.outcome_rows.values()),
                "data": data,
                "received_at": now_ms() if received_at is None else received_at,
                **windows.service_counts(connection, digest, data),
            }
            connection.execute(insert(schema.window).values(**row))
            counts.add(connection, [row])

    def judged(self, digest: str, errors: Sequence[float], *, day: int = 0, tag: str = "") -> None:
        """Send predictions and then labels, so that these errors come out."""
        names = [f"{digest[:8]}-{tag}-{index}" for index in range(len(errors))]
        model = self._model(digest)
        with self.database.write() as connection:
            rows = [
                predictions.PredictionRow(name, day * DAY, float(error))
                for name, error in zip(names, errors, strict=True)
            ]
            predictions.record_predictions(connection, "n1", model, digest, rows)
            source = LabelSource("ada", is_node=False)
            rows = [labels.LabelRow(model, name, 0, 0.0) for name in names]
            labels.ingest(connection, rows, source)

    def _model(self, digest: str) -> str:
        with self.database.read() as connection:
            found = connection.scalar(
                schema.version.select()
                .with_only_columns(schema.version.c.name)
                .where(schema.version.c.digest == digest)
            )
        return str(found)


def _count(window: Window, values: np.ndarray, *, outputs: bool) -> None:
    reference = window.outputs if outputs else window.inputs
    assert reference is not None
    fields = [Field(name=one.name, kind=Kind.FLOAT64) for one in reference.fields]
    columns, violations = Contract(fields).check_columns(
        {one.name: column for one, column in zip(reference.fields, values, strict=True)}
    )
    assert violations is None
    (window.update_output_columns if outputs else window.update_columns)(columns)
