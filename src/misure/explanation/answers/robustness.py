"""The robustness of any region, given by itself (see `misure.explanation.robust`)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.progress import OnStep, shown_progress
from misure.errors import InputError, entrance
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.explanation.question import QUESTIONS
from misure.explanation.robust.draws import MIXTURE, BaselineDraws
from misure.explanation.robust.measured import NUM_IMAGES, Robustness, measure_robustness
from misure.explanation.robust.sequential import plan_looks
from misure.explanation.run_searches import run_searches
from misure.images.spacing import check_spacing
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel


@entrance("robustness")
def robustness(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    region: Any,
    *,
    question: str = "sufficient",
    dice_threshold: float = 0.9,
    lost_dice: float = 0.5,
    at_least: float | None = 0.9,
    num_images: int = NUM_IMAGES,
    confidence: float = 0.95,
    kinds: Sequence[str] = MIXTURE,
    other_images: Sequence[Tensor] = (),
    edge_px: int = 0,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    max_passes: int | None = None,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> Robustness:
    """The share of all baseline images on which a region answers its question, with exact bounds.

    Baseline images are drawn from a mixture of kinds, all with the same probability (see
    `misure.explanation.robust.draws`): other images of the data set, the image blurred,
    noise, a flat colour, and pixels filled or painted in from what is shown. Each takes a forward
    pass; up to 20 more see to it that the class is not in the other images.

    Args:
        model: the model that is shown the region.
        image: (C, *spatial) float, or what stands for it (see `explain`).
        target: what is to be preserved, lost or drawn (see `explain`).
        region: (*spatial) bool.
        question: `sufficient`: the region shown alone preserves the target; `necessary`: hiding it
            loses the target; `blocking`: hiding it makes the model draw the target.
        dice_threshold: Dice from which the target counts as preserved or drawn, in (0, 1].
        lost_dice: Dice down to which it counts as lost, in [0, 1); for `necessary`.
        at_least: the share that is asked about, in (0, 1); draws end early where the answer is
            clear. None: all are drawn, and the bounds are those of Clopper and Pearson.
        num_images: baseline images at most, 1 or more.
        confidence: of each bound, in (0, 1).
        kinds: that are drawn from; also `python:FILE.py:FUNCTION`, an in-painting function of your
            own. The file is run.
        other_images: each (C, *any) float, for the kind `other_image`; read when drawn. Without
            any, that kind is left out, and the result says so.
        edge_px: width of the soft edge, inside the region.
        seed: of the draws.
        spacing_mm: sides of a pixel or voxel; None: they are equal.
        max_passes: forward passes at most; fewer baseline images are then drawn.
        on_step: called with progress.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: bad arguments, or nothing can be drawn.
        MissingDependencyError: `inpainted` is among the kinds and scikit-image is not installed.
        ModelError: the network fails.
    """
    if question not in QUESTIONS:
        raise InputError(f"expected a question among {', '.join(QUESTIONS)}, got {question!r}.")
    model, own, asked_target = as_asked(model, image, target, class_names=class_names)
    with (
        torch.inference_mode(False),
        model.borrowed(),
        shown_progress(progress, on_step) as told,
    ):
        own_target = asked_target.to(model.device)
        shown = torch.as_tensor(region)
        if shown.dtype != torch.bool or shown.shape != own.shape[1:]:
            raise InputError(
                f"expected a region of bool and of the image's shape {tuple(own.shape[1:])}, got "
                f"{shown.dtype} {tuple(shown.shape)}."
            )
        own, spacing = to_device(own, model.device), check_spacing(spacing_mm, own.ndim - 1)
        asked = QUESTIONS[question]
        probe = Probe(
            own_target,
            make_presentations(model, own, edge_px=edge_px, spacing_mm=spacing),
            dice_threshold=lost_dice if asked.loses else dice_threshold,
            question=asked,
            spacing_mm=spacing,
        )
        draws = BaselineDraws(model, probe, tuple(kinds), other_images, seed)
        num = num_images if max_passes is None else min(num_images, max_passes - draws.most_passes)
        if max_passes is not None and num < 1:
            raise InputError(
                f"expected max_passes of {draws.most_passes + 1} or more, got {max_passes}. Fewer "
                "other images need fewer."
            )
        looks = plan_looks(num, at_least, confidence)
        search = measure_robustness(probe, shown.to(model.device), draws, looks, at_least)
        (found,) = run_searches(model, [probe], [search], doing="drawing", on_step=told)
    return found
