"""The job of a run: all that a worker must know, small enough to send to another process."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from msgspec import structs

from misure._version import __version__
from misure.datasets import Dataset, Reading, Sample, as_dataset, open_dataset
from misure.explanation.annotated_objects import model_for_dataset
from misure.methods import METHODS
from misure.models.device import choose_device
from misure.models.loaders import load_model
from misure.models.model import SegmentationModel
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.record import RunSettings
from misure.runs.storage import is_remote, local_path
from misure.runs.worker import RunWorker


@dataclass(frozen=True, kw_only=True)
class RunJob:
    """What is to be done, with what, and where the results go.

    Attributes:
        source: spec of a data set (see `open_dataset`), or the samples themselves.
        model: spec of a network (see `load_model`), or the model itself.
        plan: what to do with each sample.
        out: the run folder.
        model_options: options of the network.
        device: see `load_model`; with several GPUs each worker takes the next one.
        slice_index: axial slice of NIfTI volumes.
        image_options: `frame` and `depth` of pictures, `series` of DICOM (see `read_image`), and
            `channels`, the names of the channels in order.
        num_threads: threads of a worker on the CPU. Part of the settings, since sums over another
            number of threads differ in their last digits.
        revisions: sample -> how often it has been explained anew once this job is done, if at all.
    """

    source: str | Dataset
    model: str | SegmentationModel
    plan: RunPlan
    out: str | Path
    model_options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    slice_index: int | None = None
    image_options: Mapping[str, Any] = field(default_factory=dict)
    num_threads: int = 1
    revisions: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_in_memory(self) -> bool:
        """Whether only this process has the samples or the model."""
        return not (isinstance(self.source, str) and isinstance(self.model, str))

    @property
    def folder(self) -> RunFolder:
        """Where the results go."""
        return RunFolder(self.out)

    def opened(
        self, worker: int = 0, progress: bool | None = False
    ) -> tuple[SegmentationModel, Dataset]:
        """The model, for the worker of this number, and the samples.

        Args:
            worker: its number.
            progress: whether a bar is shown while the network loads; None: where it is seen.
        """
        model = self.open_model(worker, progress)
        source = self.open_source(model)
        return model_for_dataset(model, source), source

    def open_model(self, worker: int = 0, progress: bool | None = False) -> SegmentationModel:
        """The model, for the worker of this number; see `opened`."""
        if not isinstance(self.model, str):
            return self.model
        device = self.device
        if choose_device(device).type == "cuda" and ":" not in device:
            local_rank = int(os.environ.get("LOCAL_RANK", "0"))  # of torchrun
            device = f"cuda:{(worker + local_rank) % torch.cuda.device_count()}"
        options = {"device": device} | dict(self.model_options)
        return load_model(self.model, progress=progress, **options)

    def open_source(self, model: SegmentationModel) -> Dataset:
        """The samples."""
        if not isinstance(self.source, str):
            return self.source
        reading = Reading.for_model(model, self.slice_index, self.image_options)
        return open_dataset(self.source, reading)

    def open_worker(self, worker: int = 0) -> RunWorker:
        """A worker; its run must have begun."""
        model, source = self.opened(worker)
        return RunWorker(model, source, self.plan, self.folder, self.revisions)

    def settings(self, model: SegmentationModel) -> RunSettings:
        """Everything that the results depend on."""
        spec = self.model if isinstance(self.model, str) else ""
        settings = model.settings()
        return RunSettings(
            **structs.asdict(self.plan) | {"method_options": self.plan.plain_options()},
            source=self.source if isinstance(self.source, str) else type(self.source).__name__,
            slice_index=self.slice_index,
            image_options=dict(self.image_options),
            model=spec or model.name,
            model_settings={key: value for key, value in settings.items() if key != "device"},
            class_names=list(model.class_names),
            fingerprint=fingerprint(model, spec),
            finds_regions=METHODS[self.plan.method].finds_regions,
            device_type=model.device.type,
            num_threads=self.num_threads,
            misure_version=__version__,
            torch_version=str(torch.__version__),
        )

    @contextmanager
    def threads(self) -> Iterator[None]:
        """A context with this job's number of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.num_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def make_job(
    source: str | Dataset | Sequence[Sample],
    model: str | SegmentationModel,
    plan: RunPlan,
    out: str | Path,
    **options: Any,
) -> RunJob:
    """The job of a run, with the run folder's full path.

    Args:
        source, model, plan, out: of the run.
        options: other fields of `RunJob`.

    Raises:
        InputError: samples in memory that are no data set.
    """
    return RunJob(
        source=source if isinstance(source, str) else as_dataset(source),
        model=model,
        plan=plan,
        out=out if is_remote(out) else local_path(out),
        **options,
    )


def fingerprint(model: SegmentationModel, spec: str = "") -> str:
    """A hash of the network's parameters and buffers, and of the files that its spec names.

    Args:
        model: the network.
        spec: by which it was loaded; empty for a model in memory.
    """
    digest = hashlib.sha256(type(model.net).__name__.encode())
    if isinstance(model.net, torch.nn.Module):
        for name, tensor in sorted(model.net.state_dict().items()):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    else:
        digest.update(model.name.encode())
    for part in spec.split(":"):
        if Path(part).is_file():
            with Path(part).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
