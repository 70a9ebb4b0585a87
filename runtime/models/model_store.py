"""The loaded models of a process: within a memory budget, asleep while they are idle.

A model that sleeps has released its engine and keeps the rest: contracts, references, counts. To
wake it is to load its file again, with the usual verification.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import psutil

from gnomon.runtime.errors import MemoryExceeded, UnknownModel
from gnomon.runtime.models import batching_benefit
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.tensor_model import open_model
from gnomon.runtime.packages.manifest import Deployment
from gnomon.runtime.packages.package import FORMATS_THAT_RUN_CODE, Package

logger = logging.getLogger("gnomon.runtime")


@dataclass(slots=True)
class ModelUsage:
    """What a model has cost: bytes of memory while it is awake, and how often it slept and woke."""

    memory_bytes: int = 0
    sleeps: int = 0
    wakes: int = 0


class ModelStore:
    """Models by digest. Only `models` may be read while another thread changes something.

    `budget_bytes` of memory are for all models together; 0: as much as there is. What a model needs
    is what its manifest and its file's size say, and, once it is loaded, by how much the process
    and its children have grown: an estimate, since other threads use memory meanwhile.
    """

    def __init__(self, budget_bytes: int = 0) -> None:
        # Replaced as a whole, never changed: who reads it needs no lock.
        self.models: Mapping[str, Model] = {}
        self.usage: Mapping[str, ModelUsage] = {}
        self._budget_bytes = budget_bytes

    def load(
        self,
        package: Package,
        check_golden: bool,
        deployment: Deployment | None,
        check: Callable[[Model], None],
    ) -> Model:
        """Make a package ready; loading it again returns the model that is there.

        Args:
            package: the verified package.
            check_golden: run its golden samples, and refuse it if they differ.
            deployment: replaces the settings in its manifest; None: keep those.
            check: may refuse the model before it is warmed up, by raising.

        Raises as `RouteService.load`.
        """
        model = self.models.get(package.digest)
        if model is not None:
            if check_golden:
                package.golden.check(model)
            return model
        expected = _expected(package)
        self._check(package.reference, expected)
        before = _resident_bytes(package)
        model = open_model(package, deployment)
        try:
            check(model)
            model.warm_up()
            batching_benefit.decide_batching(model)
            if check_golden:
                package.golden.check(model)
            usage = ModelUsage(max(expected, _resident_bytes(package) - before))
            self._check(package.reference, usage.memory_bytes)
        except BaseException:
            model.close()
            raise
        self.usage = {**self.usage, package.digest: usage}
        self.models = {**self.models, package.digest: model}
        return model

    def remove(self, digest: str) -> None:
        """Close a model.

        Raises:
            UnknownModel: it is not loaded.
        """
        if digest not in self.models:
            raise UnknownModel(f"the package {digest[:16]} is not loaded")
        model = self.models[digest]
        self.models = {name: one for name, one in self.models.items() if name != digest}
        self.usage = {name: one for name, one in self.usage.items() if name != digest}
        model.close()

    def sleep(self, digests: Iterable[str]) -> None:
        """Let models give back their engines until they are woken."""
        for digest in digests:
            model = self.models[digest]
            if model.is_awake:
                model.sleep()
                self.usage[digest].sleeps += 1
                logger.info("%s sleeps: it was idle", model.reference)

    def wake(self, digests: Iterable[str]) -> bool:
        """Load the engines of models that sleep; return whether any did.

        Raises:
            MemoryExceeded: one exceeds the memory budget.
            EngineError, PackageError: one cannot be loaded any more.
        """
        asleep = [one for one in map(self.models.__getitem__, digests) if not one.is_awake]
        for model in asleep:
            self._check(model.reference, self.usage[model.digest].memory_bytes)
            model.wake()
            self.usage[model.digest].wakes += 1
            logger.info("%s is awake again", model.reference)
        return bool(asleep)

    def close(self) -> None:
        """Close all models."""
        for model in self.models.values():
            model.close()

    def _check(self, reference: str, needed: int) -> None:
        """Raise MemoryExceeded if `needed` further bytes would exceed the budget."""
        if not self._budget_bytes:
            return
        loaded = {
            model.reference: self.usage[digest].memory_bytes
            for digest, model in self.models.items()
            if model.is_awake
        }
        if sum(loaded.values()) + needed > self._budget_bytes:
            there = ", ".join(f"{name} {_mib(size)}" for name, size in loaded.items())
            raise MemoryExceeded(
                f"{reference} needs about {_mib(needed)} of memory; the budget is "
                f"{_mib(self._budget_bytes)} (memory_budget_bytes), and loaded are "
                f"{there or 'none'}",
                details=[
                    {
                        "model": reference,
                        "needed_bytes": needed,
                        "budget_bytes": self._budget_bytes,
                        "loaded_bytes": loaded,
                    }
                ],
            )


def _expected(package: Package) -> int:
    """Return how many bytes a model needs by what is known before it is loaded."""
    manifest = package.manifest
    size = next(file.size for file in manifest.files if file.path == manifest.model_file)
    return max(size, manifest.needs.memory_mib << 20)


def _resident_bytes(package: Package) -> int:
    """Return the memory of this process and, if one runs the package's engine, of its children.

    Finding children means looking at every process of the machine, so it is done only if needed.
    """
    process = psutil.Process()
    total = int(process.memory_info().rss)
    runs_apart = package.manifest.format in FORMATS_THAT_RUN_CODE
    for child in process.children() if runs_apart else ():
        try:
            total += int(child.memory_info().rss)
        except psutil.Error:
            continue
    return total


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
