"""One of the runs that are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from misure._util.records import plain, settings_difference
from misure.errors import InputError
from misure.methods import METHODS
from misure.methods.result import MethodResult
from misure.models.model import SegmentationModel
from misure.runs.folder import RunFolder
from misure.runs.maps import read_result
from misure.runs.record import DoneObject, RunSettings

_OF_METHOD = ("method", "method_options", "finds_regions")
"""Settings in which runs of different methods differ."""


@dataclass(frozen=True)
class ComparedRun:
    """A run of one method.

    Attributes:
        folder: where it lies.
        settings: what it was begun with.
        options: that its method was called with.
    """

    folder: RunFolder
    settings: RunSettings
    options: Mapping[str, Any]

    @classmethod
    def open(
        cls, folder: RunFolder, method_options: Mapping[str, Mapping[str, Any]]
    ) -> "ComparedRun":
        """The run in a folder.

        Args:
            folder: where it lies.
            method_options: method -> its options, if the folder cannot hold them (tensors).

        Raises:
            RunFolderError: it is no run.
        """
        settings = folder.settings()
        method = METHODS.find(settings.method)
        shared = method.options_among({"dice_threshold": settings.dice_threshold})
        given = method_options.get(settings.method, settings.method_options)
        return cls(folder, settings, {**shared, **given})

    @property
    def method(self) -> str:
        """Name of its method."""
        return self.settings.method

    def summary(self) -> dict[str, Any]:
        """What a comparison says of the method."""
        method = METHODS[self.method]
        options = {
            name: "tensor" if isinstance(value, Tensor) else value
            for name, value in {**method.options, **self.options}.items()
        }
        return {"options": options, "kind": method.kind, "source": method.source}

    def result(self, record: DoneObject) -> MethodResult:
        """The map of a record. Raises a RunFolderError if its file is missing or damaged."""
        return read_result(self.folder, record, self.settings)

    def remake(
        self, result: MethodResult, model: SegmentationModel, image: Tensor, seed: int
    ) -> Tensor:
        """The map of the same target, made again of another model, image or seed."""
        method = METHODS[self.method]
        return method(model, image, result.target, seed=seed, **self.options).saliency_map


def check_alike(settings: Sequence[RunSettings]) -> None:
    """Raises an InputError unless the runs differ in their method, and in nothing else."""
    methods = [of_run.method for of_run in settings]
    if not methods or len(set(methods)) < len(methods):
        raise InputError(f"expected runs of different methods, got {', '.join(methods) or 'none'}.")
    shared = [{**plain(of_run), **dict.fromkeys(_OF_METHOD)} for of_run in settings]
    for of_run in shared[1:]:
        if difference := settings_difference(shared[0], of_run):
            raise InputError(
                f"expected runs that differ in nothing but their method, got {difference}."
            )
