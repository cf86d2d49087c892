"""A session: the network, the images, and what is open; all that outlives a request."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misure._version import __version__
from misure.datasets.image_files import ImageFiles
from misure.datasets.sample import AS_IT_IS, Dataset, Reading, files_of
from misure.errors import InputError
from misure.explanation.baselines import BASELINE_IMAGES
from misure.explanation.presets import DEFAULT_PRESET, PRESETS
from misure.images.channel_names import case_of_files
from misure.images.volumes import files_of_image
from misure.models.model import SegmentationModel
from misure.models.segmentation import segment
from misure.runs.record import SourceFile
from misure.runs.source_files import described, have_changed
from misure.viewer.cache import Cache
from misure.viewer.jobs import Worker
from misure.viewer.opened import Opened

DICE_THRESHOLD = 0.9
_MOST_FOLDERS = 10_000
_OPEN_MB = 1200


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network as the command line names it, and how its images are read.

    Attributes:
        spec, model_options, device, slice_index, image_options: as of `misure explain`.
        model: loaded.
        reading: of images.
    """

    spec: str
    model_options: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    slice_index: int | None = None
    image_options: dict[str, Any] = field(default_factory=dict)
    model: SegmentationModel
    reading: Reading


class Session:
    """What a server answers from.

    Args:
        images: that can be looked at; None: none.
        network: that draws them; None: nothing can be explained.
        out: folder below which results are saved.
        run: what the page is told of the run that is looked at; None: no run.
        report: folder with the page of a run's report; None: no run.
        full_size: gives the script of an object's pictures at full size, by its place there.
    """

    def __init__(
        self,
        images: Dataset | None,
        network: Network | None,
        out: Path,
        *,
        run: dict[str, Any] | None = None,
        report: Path | None = None,
        full_size: Callable[[int], str] | None = None,
    ) -> None:
        self.images, self.network, self.out = images, network, out
        self.run, self.report, self.full_size = run, report, full_size
        self._out_was_there = out.is_dir()
        self.worker = Worker()
        self.drawing = asyncio.Lock()  # of figures, which is not for two threads
        self._opened: Cache[int, Opened] = Cache(_OPEN_MB)
        self._files: dict[int, list[SourceFile]] = {}  # of an image, when it was first opened

    @property
    def num_images(self) -> int:
        """How many there are."""
        return 0 if self.images is None else len(self.images.keys)

    def state(self) -> dict[str, Any]:
        """What the page needs to know first."""
        model = self.network.model if self.network else None
        names: Sequence[str] = [] if self.images is None else self.images.keys
        return {
            "version": __version__,
            "model": self.network.spec if self.network else "",
            "images": [{"number": i, "name": name} for i, name in enumerate(names)],
            "presets": [*PRESETS],
            "baselines": [*BASELINE_IMAGES],
            "defaults": {"preset": DEFAULT_PRESET, "dice_threshold": DICE_THRESHOLD},
            "classes": [*model.class_names] if model else [],
            "can_explain": self.network is not None,
            "can_segment": self.network is not None,
            "run": self.run,
            "out": str(self.out.absolute()),
        }

    def opened(self, number: int) -> "Future[Opened]":
        """An image with its segmentation, made by the thread of the network if it is not open.

        Raises:
            LookupError: there is no such image.
        """
        self.check_number(number)
        known = self._opened.get(number)
        if known is not None:
            done: Future[Opened] = Future()
            done.set_result(known)
            return done
        return self.worker.ask(lambda: self.open(number))

    def check_number(self, number: int) -> None:
        """Raises a LookupError unless there is such an image."""
        if not 0 <= number < self.num_images:
            raise LookupError(f"expected an image below {self.num_images}, got {number}.")

    def open(self, number: int) -> Opened:
        """The same, called on the thread of the network.

        Raises:
            InputError: the image is no longer what it was when it was first opened, so that its
                objects may have other numbers.
        """
        known = self._opened.get(number)
        if known is not None:
            return known
        assert self.images is not None  # noqa: S101  # as checked
        files = files_of(self.images, number)
        before = self._files.setdefault(number, described(files))
        if have_changed(files, before):
            raise InputError(
                f"expected the image that was opened first, but {self.images.keys[number]} has "
                "changed since; start misure view again to look at it as it is now."
            )
        sample, network = self.images[number], self.network
        path = self.path(number)
        model, reading = (network.model, network.reading) if network else (None, AS_IT_IS)
        pixels = sample.image if model is None else sample.image.to(model.device)
        opened = Opened.of(
            number,
            path,
            sample,
            reading.volume(path) if path.name else None,
            None if model is None else segment(model, pixels, affine=sample.affine),
            pixels,
        )
        self._opened.put(number, opened, opened.num_bytes)
        return opened

    def saved(self, name: str, save: Callable[[Path], None]) -> dict[str, Any]:
        """Saves in a new folder below `out`, and says where and which files.

        Args:
            name: of the folder; with a number if there is one of that name.
            save: writes it, completely or not at all.

        Raises:
            InputError: nothing can be written there.
        """
        made_again = self._out_was_there and not self.out.is_dir()
        folder = new_folder(self.out, name)
        try:
            save(folder)
        except OSError as error:
            raise InputError(
                f"expected a folder that can be written to, nothing was saved in {self.out}: "
                f"{error.strerror or error}."
            ) from error
        self._out_was_there = True
        files = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        again = {"made_again": str(self.out)} if made_again else {}
        return {"folder": str(folder), "files": files, **again}

    def path(self, number: int) -> Path:
        """The image as `misure explain` takes it; empty if no file is known."""
        assert self.images is not None  # noqa: S101  # as checked
        if isinstance(self.images, ImageFiles):
            return self.images.path(number)
        return Path(",".join(map(str, files_of(self.images, number))))

    def case_name(self, opened: Opened) -> str:
        """What folders of results of an image are called after."""
        if not opened.path.name:
            return opened.name
        return case_of_files(files_of_image(opened.path)) or "image"

    def end(self, timeout_s: float = 1.0) -> bool:
        """Ends all work after the pass that is being made; whether it ended in time."""
        return self.worker.end(timeout_s)


def new_folder(out: Path, name: str) -> Path:
    """A folder below `out` that is not there yet: `name`, or `name-2` and so on.

    Raises:
        InputError: there are too many.
    """
    for number in range(1, _MOST_FOLDERS):
        folder = out / (name if number == 1 else f"{name}-{number}")
        if not folder.exists() and not folder.is_symlink():
            return folder
    raise InputError(f"expected fewer than {_MOST_FOLDERS} folders {name} in {out}.")
