"""Stability: whether explaining the same object again gives the same region.

The object is explained again after a change that no person would notice, or with another seed, and
the region found is compared with the one found before, by their IoU. An IoU means little by itself:
two large regions overlap by chance. So the IoU of two random regions of these areas stands beside
it. Regions that differ may both suffice; `dice_of_first` says whether the first one still does.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from misure._util.drawing import InNotebook
from misure._util.progress import shown_progress
from misure._util.records import Count, Fraction, Record
from misure._util.suggestions import did_you_mean
from misure.errors import InputError, entrance
from misure.explanation.changes import Noise, Shift
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import Presentation, make_presentations
from misure.explanation.probe import Probe
from misure.explanation.show import try_regions
from misure.images.regions import area_fraction, component_numbers
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.segmentation import drawn_region
from misure.models.target import Target

JPEG_QUALITY = 90

_SHIFT = Shift(-1, 1)
_WORDS = {
    "shift": "a shift of one pixel",
    "noise": "1 % noise",
    "jpeg": f"JPEG at quality {JPEG_QUALITY}",
    "seed": "another seed",
}


class Repetition(Record, frozen=True, kw_only=True):
    """How the region found again compares with the one found before.

    Attributes:
        iou: of both; after a shift the first moves along, and the column that comes in is left out.
        by_chance: the IoU that two random regions of these areas are expected to have.
        dice_of_first: Dice of the target when the first region is shown after the change.
        area_fraction: of the region found again.
    """

    iou: Fraction
    by_chance: Fraction
    dice_of_first: Fraction
    area_fraction: Fraction


class Stability(InNotebook, Record, frozen=True, kw_only=True):
    """Whether an object explained again has the same minimally sufficient region.

    Attributes:
        by_change: what was changed (`shift`, `noise`, `jpeg`, `seed`) -> how the regions compare.
        left_out: what was not changed, or gave no region -> why.
        passes: pass equivalents that explaining again took.
    """

    by_change: dict[str, Repetition]
    left_out: dict[str, str]
    passes: Count

    @property
    def note(self) -> str:
        """The IoU after each change, and by chance, in one sentence; empty if there is none."""
        if not self.by_change:
            return ""
        parts = [
            f"{one.iou:.2f} after {_WORDS[change]} ({one.by_chance:.2f} by chance)"
            for change, one in self.by_change.items()
        ]
        return f"Explained again, the region has an IoU with the first of {', '.join(parts)}."


@dataclass(frozen=True, eq=False)
class _Changed:
    """An object after a change, and where the pixels of a region lie afterwards."""

    image: Tensor
    target: Target
    seed: int
    moved: Callable[[Tensor], Tensor] = torch.clone
    first_column: int = 0


def compare_regions(first: Tensor, again: Tensor, first_column: int = 0) -> tuple[float, float]:
    """IoU of two regions (*spatial) bool, and that of two random regions of their areas.

    Two empty regions are equal.

    Args:
        first, again: the regions.
        first_column: columns before it are not compared.
    """
    both, either = (int(one[..., first_column:].sum()) for one in (first & again, first | again))
    a, b = area_fraction(first), area_fraction(again)
    return both / either if either else 1.0, a * b / (a + b - a * b) if a or b else 1.0


def same_object(model: SegmentationModel, image: Tensor, target: Target) -> Target | None:
    """The object that a model draws where a target is: of its class, with the most of its pixels.

    None if it gives none of them to the class. Takes a pass.
    """
    whole = drawn_region(model, to_device(image, model.device), target).to(image.device)
    if target.channel is not None:
        return replace(target, region=whole) if whole.any() else None
    numbers = component_numbers(whole)
    if not (numbers[target.region] > 0).any():
        return None
    region = numbers == int(torch.bincount(numbers[target.region])[1:].argmax()) + 1
    return replace(target, region=region, ignored=whole & ~region)


@entrance("stability_of")
def stability_of(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    explanation: Explanation | None = None,
    changes: Iterable[str] = tuple(_WORDS),
    seed: int = 0,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    **options: Any,
) -> Stability:
    """How far the minimally sufficient region stays when the object is explained again.

    After a shift of one pixel, with Gaussian noise of 1 % of the image's range, after JPEG at
    quality 90 (pictures alone), and with another seed.

    Args:
        model: the model to explain.
        image: (C, *spatial) float, or what stands for it (see `explain`).
        target: what to explain (see `explain`).
        explanation: the first one, found with this seed and these options; None: it is made.
        changes: what is changed.
        seed: of the first explanation, and of the noise.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).
        options: of `explain`, the same for all.

    Raises:
        InputError: bad arguments, or there is nothing to explain.
        ModelError: the network fails.
    """
    asked = list(changes)
    for change in asked:
        if change not in _WORDS:
            raise InputError(
                f"expected changes among {', '.join(_WORDS)}, got {change!r}."
                f"{did_you_mean(change, _WORDS)}"
            )
    model, own, own_target = as_asked(model, image, target, class_names=class_names)
    by_change, left_out = {}, {}
    with shown_progress(progress) as told, model.counting() as cost:
        told("explaining", 0, 1 + len(asked))
        first = explanation or explain(model, own, own_target, seed=seed, **options)
        for number, change in enumerate(asked):
            told("explaining", 1 + number, 1 + len(asked))
            try:
                changed = _CHANGES[change](model, own, own_target, seed)
                again = explain(model, changed.image, changed.target, seed=changed.seed, **options)
            except InputError as error:
                left_out[change] = str(error)
                continue
            kind = options.get("baseline_image", first.settings["baseline_image"])
            by_change[change] = _compared(model, first, changed, again, kind)
    return Stability(by_change=by_change, left_out=left_out, passes=cost.pass_equivalents)


def _compared(
    model: SegmentationModel,
    first: Explanation,
    changed: _Changed,
    again: Explanation,
    baseline_image: str | Tensor,
) -> Repetition:
    """How the regions of two explanations compare; takes a pass a baseline image."""
    region, found = changed.moved(first.minimally_sufficient_region), again.values
    iou, by_chance = compare_regions(
        region, again.minimally_sufficient_region, changed.first_column
    )
    ways = make_presentations(
        model,
        changed.image.to(model.device),
        baseline_image=baseline_image,
        edge_px=again.settings["edge_px"],
        seed=changed.seed,
        spacing_mm=found.spacing_mm,
    )
    probe = Probe(changed.target.to(model.device), ways, dice_threshold=found.dice_threshold)
    with torch.inference_mode(False), torch.no_grad(), model.borrowed():
        (reply,) = try_regions(model, [(probe, region.to(model.device))])
    return Repetition(
        iou=iou,
        by_chance=by_chance,
        dice_of_first=reply.dice,
        area_fraction=area_fraction(again.minimally_sufficient_region),
    )


def _shifted(_model: SegmentationModel, image: Tensor, target: Target, seed: int) -> _Changed:
    moved = _SHIFT.target(target)
    if target.binding is not None and target.channel is not None:
        moved = replace(moved, binding=target.binding.moved(_SHIFT.region))
    return _Changed(_SHIFT.region(image), moved, seed, moved=_SHIFT.region, first_column=1)


def _noisy(model: SegmentationModel, image: Tensor, target: Target, seed: int) -> _Changed:
    noisy = Noise(seed).presentation(Presentation(image, image)).image
    return _drawn_anew(model, noisy, target, seed)


def _compressed(model: SegmentationModel, image: Tensor, target: Target, seed: int) -> _Changed:
    is_picture = image.ndim == 3 and len(image) in (1, 3)
    if not is_picture or not 0 <= float(image.min()) <= float(image.max()) <= 1:
        raise InputError("expected a picture of 1 or 3 channels with numbers from 0 to 1.")
    pixels = (image * 255).round().byte().movedim(0, -1).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels).save(
        file, "JPEG", quality=JPEG_QUALITY
    )
    read = np.atleast_3d(np.asarray(Image.open(file), np.float32) / 255)
    return _drawn_anew(model, torch.from_numpy(read).movedim(-1, 0).to(image), target, seed)


def _seeded(_model: SegmentationModel, image: Tensor, target: Target, seed: int) -> _Changed:
    return _Changed(image, target, seed + 1)


def _drawn_anew(model: SegmentationModel, image: Tensor, target: Target, seed: int) -> _Changed:
    there = same_object(model, image, target)
    if there is None:
        raise InputError("expected the object after the change, the model draws no pixel of it.")
    return _Changed(image, there, seed)


_CHANGES: dict[str, Callable[[SegmentationModel, Tensor, Target, int], _Changed]] = {
    "shift": _shifted,
    "noise": _noisy,
    "jpeg": _compressed,
    "seed": _seeded,
}
