"""Checking a region that no search has found: one that a person painted, say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from misure._util.drawing import InNotebook
from misure._util.progress import OnStep, shown_progress
from misure._util.records import Record, plain
from misure.errors import InputError, entrance
from misure.explanation.explain import choose_preset
from misure.explanation.pipeline import Explainer
from misure.explanation.record import (
    CostRecord,
    MinimallySufficientRegionRecord,
    TargetRecord,
)
from misure.explanation.robust.measured import Robustness
from misure.explanation.summary import name_of, size_of, sure_sentences
from misure.images.spacing import check_spacing
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage, affine_for, as_image, as_model
from misure.models.model import SegmentationModel
from misure.models.target import Target


class CheckedRegionRecord(Record, frozen=True, kw_only=True):
    """What was measured of a region.

    Attributes:
        misure_version, model, preset, baseline_image, dice_threshold, seed, settings: as of an
            explanation (see `ExplanationRecord`).
        target: for which it was checked.
        region: what was measured of it, as of the minimally sufficient region of an explanation.
        silhouette_dice: the largest of `silhouette_dice_by_content`.
        silhouette_dice_by_content, transfer_dice, transfer_from, transfer_resized, robustness,
            shape, spacing_mm: as of an explanation.
        cost: passes and seconds.
    """

    misure_version: str
    model: str
    preset: str
    baseline_image: str
    dice_threshold: float
    seed: int
    target: TargetRecord
    region: MinimallySufficientRegionRecord
    silhouette_dice: float
    silhouette_dice_by_content: dict[str, float]
    transfer_dice: float
    transfer_from: str
    transfer_resized: bool
    robustness: Robustness | None = None
    settings: dict[str, Any]
    shape: list[int]
    spacing_mm: list[float] | None
    cost: CostRecord

    @property
    def minimally_sufficient_region(self) -> MinimallySufficientRegionRecord:
        """The same as `region`, for what words the figures of an explanation, too."""
        return self.region


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedRegion(InNotebook):
    """A region, and whether it suffices for a target.

    Attributes:
        target: for which it was checked.
        region: (*spatial) bool.
        values: all that was measured.
    """

    target: Target
    region: Tensor
    values: CheckedRegionRecord

    @property
    def dice(self) -> float:
        """Dice with the target when the model sees the region alone; of several ways, the least."""
        return self.values.region.dice

    @property
    def suffices(self) -> bool:
        """Whether that reaches the threshold."""
        return self.dice >= self.values.dice_threshold

    def summary(self) -> str:
        """Whether it suffices, and what speaks against it as evidence, in plain sentences."""
        values, name = self.values, name_of(self.values)
        reached = f"Dice {self.dice:.2f}"
        if values.region.area_fraction == 0:
            draws = "draws" if self.suffices else "does not draw"
            return f"With everything hidden, the model {draws} {name}: {reached}."
        size = size_of(values, values.region)
        if not self.suffices:
            wanted = f"less than {values.dice_threshold:g}"
            return f"Shown alone, {size} does not suffice for {name}: {reached}, {wanted}."
        suffices = f"Shown alone, {size} suffices for {name}: {reached}."
        return " ".join([suffices, *sure_sentences(values)])

    def record(self) -> dict[str, Any]:
        """All values as plain dictionaries and lists."""
        record: dict[str, Any] = plain(self.values)
        return record


@entrance("check_region")
def check_region(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    region: Tensor | np.ndarray,
    *,
    dice_threshold: float = 0.9,
    preset: str | None = None,
    seed: int = 0,
    other_image: Tensor | None = None,
    other_image_name: str = "tensor",
    spacing_mm: Sequence[float] | None = None,
    other_images: Sequence[Tensor] = (),
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    **options: Any,
) -> CheckedRegion:
    """Whether a region suffices for a target: what `explain` measures of the region that it finds.

    The region is shown alone, on the other baseline images, under small changes, and with other
    content in its outline. With the settings of an explanation its minimally sufficient region has
    the same figures here. Takes about fifteen passes.

    Args:
        model, image, target, dice_threshold, preset, seed, other_image, other_image_name,
            spacing_mm, other_images, on_step, progress, class_names, options: as of `explain`.
        region: (*spatial) bool, what is shown.

    Raises:
        InputError: bad arguments, such as a region of another shape.
        ModelError: the network fails.
    """
    given = as_model(model, class_names)
    pixels = as_image(image, given)
    shown = torch.from_numpy(region.copy()) if isinstance(region, np.ndarray) else region
    bound, pixels, meant = as_asked(given, pixels, target, affine_for(given, image))
    spatial = tuple(pixels.shape[1:])
    if not isinstance(shown, Tensor) or shown.dtype != torch.bool or shown.shape != spatial:
        got = f"{shown.dtype} {tuple(shown.shape)}" if isinstance(shown, Tensor) else type(shown)
        raise InputError(
            f"expected a region of bool and of the image's shape {spatial}, got {got}."
        )
    explainer = Explainer(
        model=bound,
        preset=choose_preset(given, preset, options),
        dice_threshold=float(dice_threshold),
        seed=seed,
        other_image=other_image,
        other_image_name=other_image_name,
        spacing_mm=check_spacing(spacing_mm, pixels.ndim - 1),
        on_step=None,
        other_images=other_images,
    )
    with shown_progress(progress, on_step) as told:
        measured = replace(explainer, on_step=told).measure(pixels, meant, shown)
    values = CheckedRegionRecord(**measured)
    return CheckedRegion(target=replace(meant), region=shown.cpu().clone(), values=values)
