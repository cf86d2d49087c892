"""Prompt sensitivity: how much a mask depends on where exactly the prompt lies.

Nobody clicks twice on the same pixel. The network is asked again with prompts that mean the same
object: points elsewhere in the mask that it drew, points moved by a few pixels, boxes whose sides
are moved by a few per cent. The image encoder runs once; each prompt gets the mask that the network
itself scores best, as it would if it had been the only one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from misure._util.drawing import Pictured
from misure._util.progress import OnStep, shown_progress
from misure._util.records import Count, Fraction, Record
from misure._util.short_repr import ShortRepr
from misure.errors import EmptyTargetError, InputError, entrance
from misure.explanation.record import CostRecord
from misure.explanation.saving import save_with_record
from misure.explanation.summary import named
from misure.images.regions import area_fraction, dice
from misure.models.cost import Cost
from misure.models.inputs import AnyImage, as_image, as_model
from misure.models.model import SegmentationModel
from misure.models.prompted import (
    MaskChoice,
    chosen,
    is_single,
    mask_of,
    network_of,
    prompt_arguments,
    prompts_of,
)
from misure.models.prompts import Box, Point, Prompt, parse_prompt

SHIFT_PX = 3.0
SPREADS = (0.05, 0.1)
_MOST = 500  # prompts of a kind
_TRIES = 20


class PromptOutcome(Record, frozen=True, kw_only=True):
    """The mask of one other prompt.

    Attributes:
        prompt: as on the command line.
        dice: with the mask of the original prompt, in [0, 1].
        score: the network's own, usually in [0, 1]; None: it gives none.
        other_mask: whether another one of the network's masks was the best than for the original.
    """

    prompt: str
    dice: Fraction
    score: float | None
    other_mask: bool


class PromptChange(Record, frozen=True, kw_only=True):
    """What one kind of change does.

    Attributes:
        change: in words, such as `points elsewhere in the mask`.
        least, median: Dice with the mask of the original prompt.
        least_score, median_score: the network's own scores; None: it gives none.
        outcomes: of each prompt.
    """

    change: str
    least: Fraction
    median: Fraction
    least_score: float | None
    median_score: float | None
    outcomes: tuple[PromptOutcome, ...]


class PromptSensitivityRecord(Record, frozen=True, kw_only=True):
    """What is written of a prompt's sensitivity; see `PromptSensitivity`."""

    image: str = ""
    model: str
    prompt: str
    area_fraction: Fraction
    score: float | None
    mask: str | int
    mask_place: Count
    seed: int
    changes: tuple[PromptChange, ...]
    sentence: str
    cost: CostRecord


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PromptSensitivity(Pictured, ShortRepr):
    """How much the mask of a prompt depends on where exactly the prompt lies.

    Attributes:
        model: name of the network.
        prompt: the original.
        region: (*spatial) bool, its mask.
        score: the network's own for it; None: it gives none.
        mask, mask_place: which of several masks was asked for, and the place of the one taken.
        changes: what each kind of change did.
        agreement: (*spatial) float, the share of the other prompts whose mask holds a pixel.
        seed: of the prompts.
        cost: one forward pass, and seconds.
        image: (C, *spatial) float on the CPU, the image that was asked about.
    """

    model: str
    prompt: Prompt
    region: Tensor
    score: float | None
    mask: MaskChoice
    mask_place: int
    changes: tuple[PromptChange, ...]
    agreement: Tensor
    seed: int
    cost: Cost
    image: Tensor | None = field(default=None, compare=False, repr=False)

    def sentence(self) -> str:
        """What each change did to the mask, in plain words."""
        parts = [
            f"{change.median:.2f} (median; least {change.least:.2f}) for {len(change.outcomes)} "
            f"{change.change}"
            for change in self.changes
        ]
        others = [outcome for change in self.changes for outcome in change.outcomes]
        num_other = sum(outcome.other_mask for outcome in others)
        of_other = (
            f" {num_other} of {len(others)} prompts got another one of the network's masks."
            if num_other
            else ""
        )
        scores = [outcome.score for outcome in others if outcome.score is not None]
        of_score = (
            f" The network scores its mask {self.score:.2f}, and theirs {min(scores):.2f} to "
            f"{max(scores):.2f}."
            if scores and self.score is not None
            else ""
        )
        said = f"Dice with the mask of {named(str(self.prompt))}: {', '.join(parts)}."
        return f"{said}{of_other}{of_score}"

    def record(self, image: str = "") -> PromptSensitivityRecord:
        """What is written to disk.

        Args:
            image: its name.
        """
        return PromptSensitivityRecord(
            image=image,
            model=self.model,
            prompt=self.prompt.spec,
            area_fraction=area_fraction(self.region),
            score=self.score,
            mask=self.mask,
            mask_place=self.mask_place,
            seed=self.seed,
            changes=self.changes,
            sentence=self.sentence(),
            cost=CostRecord.of(self.cost),
        )

    def save(self, file: str | Path | BinaryIO, image: str = "") -> None:
        """Writes one `.npz`, at once or not at all.

        Its arrays, without pickle: `target` (*spatial) bool, the mask, `agreement` (*spatial)
        float32, and as JSON text `record`.

        Args:
            file: to write.
            image: name of the image.
        """
        tensors = {"target": self.region, "agreement": self.agreement}
        save_with_record(file, tensors, self.record(image))


@entrance("prompt_sensitivity")
def prompt_sensitivity(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    prompt: Prompt | str | None = None,
    *,
    num_prompts: int = 16,
    shift_px: float = SHIFT_PX,
    spreads: tuple[float, ...] = SPREADS,
    seed: int = 0,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> PromptSensitivity:
    """How much the mask of a prompt depends on where exactly the prompt lies, by one forward pass.

    - Points: as many points elsewhere in the mask, and the same points moved by at most `shift_px`.
    - Boxes: each side moved by at most each of `spreads`, as a fraction of the box's height or
      width.

    Args:
        model: takes points and boxes.
        image: see `segment`.
        prompt: the original; None: the only prompt of the model.
        num_prompts: prompts for each kind of change.
        shift_px: the most that a point is moved, in pixels of the image.
        spreads: the most that a side of a box is moved, in (0, 0.5).
        seed: of the prompts.
        on_step: called with progress.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        EmptyTargetError: the original prompt has an empty mask.
        InputError: no prompt, or a text; numbers out of range; a prompt outside of the image.
        ModelError: the network fails on the image.
    """
    found = as_model(model, class_names)
    pixels = as_image(image, found)
    network = network_of(found)
    original = _the_prompt(found, prompt)
    prompt_arguments(network, found.name, original)
    _check(original, num_prompts, shift_px, spreads)
    original.check_inside(pixels.shape[1:])
    mask = mask_of(found)
    generator = np.random.default_rng(seed)

    def changed(region: Tensor) -> dict[str, list[Prompt]]:
        return _changed(original, region, num_prompts, shift_px, spreads, generator)

    with found.counting() as cost, shown_progress(progress, on_step) as told:
        given, drawn = _drawn(found, pixels, original, mask, changed, told)
    regions = [one.region for each in drawn.values() for one in each]
    return PromptSensitivity(
        model=found.name,
        prompt=original,
        region=given.region,
        score=given.score,
        mask=mask,
        mask_place=given.place,
        changes=tuple(_outcome(change, each, given) for change, each in drawn.items()),
        agreement=torch.stack(regions).float().mean(0),
        seed=seed,
        cost=cost,
        image=pixels.cpu(),
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The mask of a prompt (*spatial) bool, the network's score, and its place among several."""

    prompt: Prompt
    region: Tensor
    score: float | None
    place: int


def _drawn(
    model: SegmentationModel,
    image: Tensor,
    original: Prompt,
    mask: MaskChoice,
    changed: Callable[[Tensor], dict[str, list[Prompt]]],
    on_step: OnStep,
) -> tuple[_Drawn, dict[str, list[_Drawn]]]:
    """The masks of a prompt, and of those that it is changed to once its mask is known."""
    network, spatial = network_of(model), tuple(image.shape[1:])
    placement = model.preprocessing.placement(spatial)

    def draw(embedded: Any, prompts: list[Prompt]) -> list[_Drawn]:
        encoded = network.encode(prompts, spatial, placement)
        masks = network.decode(embedded, encoded, single=is_single(network, mask))
        places, scores = chosen(masks, mask)
        logits = torch.stack([masks.logits[0, i, place] for i, place in enumerate(places)])
        regions = model.preprocessing.to_image(logits[None].float(), spatial)[0] > 0
        return [
            _Drawn(prompt, regions[i].to(image.device), scores[i] if scores else None, places[i])
            for i, prompt in enumerate(prompts)
        ]

    def draw_all(inputs: Tensor) -> tuple[_Drawn, dict[str, list[_Drawn]]]:
        on_step("embedding the image", 0, None)
        embedded = network.embed(inputs)
        (given,) = draw(embedded, [original])
        if not bool(given.region.any()):
            raise EmptyTargetError(
                f"the network draws nothing for {original.spec!r}. There is no mask to compare "
                "with; place the prompt on an object."
            )
        by_change, masks = changed(given.region), {}
        for done, (change, prompts) in enumerate(by_change.items()):
            on_step("other prompts", done, len(by_change))
            masks[change] = draw(embedded, prompts)
        return given, masks

    result: tuple[_Drawn, dict[str, list[_Drawn]]]
    result = model.with_network(draw_all).raw_output(image[None])
    return result


def _the_prompt(model: SegmentationModel, prompt: Prompt | str | None) -> Prompt:
    if prompt is not None:
        return prompt if isinstance(prompt, Prompt) else parse_prompt(prompt)
    known = prompts_of(model)
    if len(known) != 1:
        raise InputError(
            f"expected a prompt, got none with a model of {len(known)} prompts. Name one: "
            "prompt_sensitivity(model, image, 'point:R,C')."
        )
    return known[0]


def _check(prompt: Prompt, num_prompts: int, shift_px: float, spreads: Sequence[float]) -> None:
    if prompt.text:
        raise InputError(
            f"expected a point or a box, which can be moved, got {prompt.spec!r}. Compare texts by "
            "giving several prompts: model.with_prompts([...]) and segment."
        )
    if not 1 <= num_prompts <= _MOST:
        raise InputError(f"expected num_prompts from 1 to {_MOST}, got {num_prompts}.")
    if not 0 < shift_px <= 1000:
        raise InputError(f"expected shift_px above 0 and at most 1000, got {shift_px}.")
    if not spreads or not all(0 < spread < 0.5 for spread in spreads):
        raise InputError(f"expected spreads between 0 and 0.5, got {spreads}.")


def _changed(
    prompt: Prompt,
    region: Tensor,
    num: int,
    shift_px: float,
    spreads: Sequence[float],
    generator: np.random.Generator,
) -> dict[str, list[Prompt]]:
    """Change, in words -> the prompts that it makes."""
    spatial = tuple(region.shape)
    changed: dict[str, list[Prompt]] = {}
    if prompt.points:
        inside = region.nonzero().tolist()
        many = "points" if len(prompt.points) == 1 else "sets of points"
        changed[f"{many} elsewhere in the mask"] = [
            replace(prompt, points=tuple(_one_of(inside, generator) for _ in prompt.points))
            for _ in range(num)
        ]
        changed[f"{many} moved by up to {shift_px:g} px"] = [
            replace(
                prompt,
                points=tuple(
                    _moved(point, shift_px, spatial, generator) for point in prompt.points
                ),
            )
            for _ in range(num)
        ]
    if prompt.box is not None:
        for spread in spreads:
            changed[f"boxes with sides moved by up to {100 * spread:g} %"] = [
                replace(prompt, box=_spread(prompt.box, spread, spatial, generator))
                for _ in range(num)
            ]
    return changed


def _one_of(pixels: list[list[int]], generator: np.random.Generator) -> Point:
    row, column = pixels[int(generator.integers(len(pixels)))]
    return float(row), float(column)


def _moved(
    point: Point, most: float, spatial: Sequence[int], generator: np.random.Generator
) -> Point:
    """Another pixel within a distance, inside the image if one is found."""
    for _ in range(_TRIES):
        shift = generator.uniform(-most, most, 2)
        row, column = (round(start + float(by)) for start, by in zip(point, shift, strict=True))
        is_inside = 0 <= row < spatial[0] and 0 <= column < spatial[1]
        is_near = 0 < np.hypot(row - point[0], column - point[1]) <= most
        if is_inside and is_near:
            return float(row), float(column)
    return point


def _spread(box: Box, spread: float, spatial: Sequence[int], generator: np.random.Generator) -> Box:
    """A box whose sides are moved, by at most a fraction of its height or width."""
    height, width = box[2] - box[0], box[3] - box[1]
    most = spread * np.array([height, width, height, width])
    moved = np.array(box) + generator.uniform(-most, most)
    top, left, bottom, right = (
        round(float(np.clip(side, 0, spatial[axis % 2])), 2) for axis, side in enumerate(moved)
    )
    return top, left, bottom, right


def _outcome(change: str, drawn: Sequence[_Drawn], given: _Drawn) -> PromptChange:
    outcomes = tuple(
        PromptOutcome(
            prompt=one.prompt.spec,
            dice=dice(one.region, given.region),
            score=one.score,
            other_mask=one.place != given.place,
        )
        for one in drawn
    )
    dices = [outcome.dice for outcome in outcomes]
    scores = [outcome.score for outcome in outcomes if outcome.score is not None]
    return PromptChange(
        change=change,
        least=min(dices),
        median=median(dices),
        least_score=min(scores, default=None),
        median_score=median(scores) if scores else None,
        outcomes=outcomes,
    )
