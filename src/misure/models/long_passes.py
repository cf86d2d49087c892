"""Passes that will take long are said before hours have gone by."""

import time
import warnings
from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from misure._util.words import counted
from misure.errors import MisureWarning

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel

_MANY_NUMBERS = 200_000_000
_MANY_WINDOWS = 64
_LONG_S = 10.0
_USUAL_PASSES = 150
_MINUTE_S = 60


class Timed:
    """A function that shows images to a network, and the seconds that its quickest pass took.

    Attributes:
        seconds: infinite before the first pass.
        num_classes: K, the number of logits for each pixel.
        is_at_pixels: whether logits came at the pixels of what was shown.
    """

    def __init__(self, show: Callable[..., Tensor]) -> None:
        self._show, self.seconds, self.num_classes = show, float("inf"), 1
        self.is_at_pixels = True
        self.is_whole_pass = getattr(show, "__name__", "") == "_logits"

    def __call__(self, shown: Tensor, *given: object) -> Tensor:
        start = time.perf_counter()
        logits = self._show(shown, *given)
        self.is_at_pixels = logits.shape[2:] == shown.shape[2:]
        self.seconds = min(self.seconds, time.perf_counter() - start)
        self.num_classes = logits.shape[1]
        return logits


def seconds_of_pass(model: "SegmentationModel", timed: Timed, spatial: Sequence[int]) -> float:
    """About how many seconds a pass over an image of shape (*spatial) takes.

    Args:
        model: shows the image.
        timed: has shown the image, its network's input, or one of its windows.
        spatial: of the image.
    """
    if timed.is_whole_pass:
        return timed.seconds
    used = model.preprocessing
    placement = used.placement(spatial)
    seconds = timed.seconds * len(placement.corners)
    if model.windows is not None:
        seconds *= model.windows.num_windows(placement.input_shape)
    if used.keeps_pixels(spatial) and timed.is_at_pixels:
        return seconds
    of_one_class = torch.zeros(len(placement.corners), 1, *placement.input_shape)
    start = time.perf_counter()
    used.to_image(of_one_class.to(model.device), spatial)
    return seconds + timed.num_classes * (time.perf_counter() - start)


def words_of_time(seconds: float) -> str:
    """A time in words, such as `40 s`, `12 min` or `1.5 hours`."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = seconds / _MINUTE_S
    return f"{minutes:.0f} min" if minutes < _MINUTE_S else f"{minutes / _MINUTE_S:.1f} hours"


def time_needed(
    model: "SegmentationModel", spatial: Sequence[int], most_passes: int | None
) -> str | None:
    """A sentence that says how long an explanation will take; None if that is not known.

    It is known before the first whole pass if the network sees window by window: the first look at
    it has shown one window.

    Args:
        model: has been examined with an image of shape (*spatial).
        spatial: of the image.
        most_passes: that the explanation may take; None: not known.
    """
    of_window = model.seconds_of_window
    if model.windows is None or of_window is None:
        return None
    placement = model.preprocessing.placement(spatial)
    num_windows = len(placement.corners) * model.windows.num_windows(placement.input_shape)
    if num_windows == 1:
        return None
    of_pass = of_window * num_windows
    sentence = f"a pass shows {num_windows} windows and takes up to {words_of_time(of_pass)}"
    if most_passes:
        sentence += (
            f"; this explanation takes about {counted(most_passes, 'pass')}, up to "
            f"{words_of_time(of_pass * most_passes)}"
        )
    return f"{sentence}; windows that are known already are not shown again."


def warn_of_long_passes(model: "SegmentationModel", timed: Timed, spatial: Sequence[int]) -> None:
    """Warns, with an estimate, if a pass over an image of shape (*spatial) takes long."""
    num_windows = 1
    if model.windows is not None:
        num_windows = model.windows.num_windows(model.preprocessing.placement(spatial).input_shape)
    if timed.num_classes * prod(spatial) < _MANY_NUMBERS and num_windows < _MANY_WINDOWS:
        return
    seconds = seconds_of_pass(model, timed, spatial)
    if seconds < _LONG_S:
        return
    size, hours = " × ".join(f"{side:,}" for side in spatial), seconds * _USUAL_PASSES / 3600
    of_windows = f", in {num_windows} windows" if num_windows > 1 else ""
    cures = ["explain a crop of it", "lower max_passes"]
    if model.windows is not None:
        cures.insert(0, "lower overlap")
    elif len(spatial) == 2 and model.preprocessing.max_side is None:
        cures.insert(0, "say max_side=2048, and it is shown smaller")
    warnings.warn(
        f"one pass of {model.name} over an image of {size} px ({timed.num_classes} classes"
        f"{of_windows}) takes about {seconds:.0f} s, an explanation of {_USUAL_PASSES} passes "
        f"about {hours:.1f} hours. To save time {', or '.join(cures)}.",
        MisureWarning,
        stacklevel=2,
    )
