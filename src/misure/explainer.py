"""The main job: from a model, an image and targets to explanations."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from misure.cost import Cost
from misure.device import seed_device
from misure.errors import InputError
from misure.explanation import Explanation
from misure.image import check_image
from misure.minimally_sufficient_region import MinimallySufficientRegion
from misure.model import SegmentationModel
from misure.presentation import make_presentation
from misure.presets import Preset, make_preset
from misure.silhouette import silhouette_dices
from misure.sufficient_region import SufficientRegion, find_sufficient_regions
from misure.target import Target
from misure.trial import OnStep, Trial


def explain(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    dice_threshold: float = 0.9,
    preset: str = "paper",
    seed: int = 0,
    on_step: OnStep | None = None,
    **options: Any,
) -> Explanation:
    """The explanation of one target: sufficient region, minimally sufficient region, evidence.

    Each region was shown to the model by itself and reached the threshold. The model comes back as
    it was, also after an exception; the same seed gives the same explanation on a CPU.

    Args:
        model: the model to explain.
        image: (C, *spatial) float, the image that the target was taken from.
        target: what to explain (see `predicted_target`).
        dice_threshold: Dice from which the target counts as preserved, in (0, 1].
        preset: name of a preset (see `PRESETS`).
        seed: of all noise.
        on_step: told of progress: what is being done, steps done, steps in all or None.
        options: options of the preset to change, such as `baseline_image="blurred"`, `edge_px=8`,
            `growth="bracket"` or, for `paper`, `num_iterations=50`.

    Raises:
        InputError: bad arguments; or a target that the model does not draw even when it sees the
            whole image.
        ModelError: the network fails.
    """
    return explain_all(
        model,
        image,
        [target],
        dice_threshold=dice_threshold,
        preset=preset,
        seed=seed,
        on_step=on_step,
        **options,
    )[0]


def explain_all(
    model: SegmentationModel,
    image: Tensor,
    targets: Sequence[Target],
    *,
    dice_threshold: float = 0.9,
    preset: str = "paper",
    seed: int = 0,
    on_step: OnStep | None = None,
    **options: Any,
) -> list[Explanation]:
    """The explanation of each of several targets of one image, worked on in common batches.

    The same as `explain` one by one; see there for arguments and errors. A cost counts the passes
    made for its own target; the seconds of the call are shared out in proportion to them.
    """
    check_image(image)
    chosen = make_preset(preset, options)
    if chosen.reduction.needs_gradients and not model.differentiable:
        raise InputError(
            f"explain: expected a network with gradients for preset {preset}, {model.name} gives "
            "none. Use a preset that needs none (sufficient_region)."
        )
    start = time.perf_counter()
    with torch.inference_mode(False), model.borrowed():
        seed_device(model.device, seed)  # undone by `borrowed`
        presentation = make_presentation(
            model,
            image.clone() if image.is_inference() else image.detach(),
            baseline_image=chosen.baseline_image,
            edge_px=chosen.edge_px,
            seed=seed,
        )
        trials = [Trial(target, presentation, float(dice_threshold)) for target in targets]
        if not trials:
            return []
        sufficient = find_sufficient_regions(model, trials, growth=chosen.growth, on_step=on_step)
        minimal = chosen.reduction(model, trials, sufficient, on_step)
        silhouettes = [
            silhouette_dices(model, trial, found.region, seed=seed)
            for trial, found in zip(trials, minimal, strict=True)
        ]
    seconds = time.perf_counter() - start
    return [
        _put_together(model, chosen, seed, trial, large, small, dices, cost)
        for trial, large, small, dices, cost in zip(
            trials, sufficient, minimal, silhouettes, _shared(seconds, trials), strict=True
        )
    ]


def _shared(seconds: float, trials: Sequence[Trial]) -> list[Cost]:
    """The cost of each trial, with its share of the seconds."""
    total = sum(trial.cost.pass_equivalents for trial in trials)
    return [
        Cost(
            trial.cost.forward_passes,
            trial.cost.backward_passes,
            seconds * trial.cost.pass_equivalents / total,
        )
        for trial in trials
    ]


def _put_together(
    model: SegmentationModel,
    preset: Preset,
    seed: int,
    trial: Trial,
    sufficient: SufficientRegion,
    minimal: MinimallySufficientRegion,
    silhouettes: dict[str, float],
    cost: Cost,
) -> Explanation:
    return Explanation(
        target=trial.target,
        sufficient_region=sufficient.region,
        minimally_sufficient_region=minimal.region,
        saliency_map=minimal.saliency_map,
        sufficient_dice=sufficient.dice,
        dice=minimal.dice,
        growth_px=sufficient.growth_px,
        silhouette_dice_by_content=silhouettes,
        dice_threshold=trial.dice_threshold,
        preset=preset.name,
        settings=preset.settings(),
        seed=seed,
        cost=cost,
        model=model.name,
        model_settings=model.settings(),
    )
