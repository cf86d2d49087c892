"""Trials: is a target preserved when the model sees only this region?

Every search of misure asks this question and no other. A search is a generator: it yields the
regions it wants tried and is sent the Dice of each. `run_searches` takes many searches at once,
gathers what they ask into batches, and so the result of one does not depend on its neighbours.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

import torch
from torch import Tensor

from misure.cost import Cost
from misure.errors import InputError
from misure.model import SegmentationModel
from misure.presentation import Presentation
from misure.target import Target

R = TypeVar("R")

OnStep = Callable[[str, int, int | None], None]
"""Told of progress: what is being done, steps done, steps in all where that is known."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A target, how regions are shown, and the Dice from which the target counts as preserved.

    Attributes:
        target: what is to be preserved.
        presentation: the image and what stands where pixels are removed.
        dice_threshold: in (0, 1].
        cost: the passes made for this trial so far; it grows.

    Raises:
        InputError: the threshold is out of range, or target and image differ in shape.
    """

    target: Target
    presentation: Presentation
    dice_threshold: float = 0.9
    cost: Cost = field(default_factory=Cost)

    def __post_init__(self) -> None:
        if not 0 < self.dice_threshold <= 1:
            raise InputError(
                f"explain: expected a dice_threshold above 0 and at most 1, got "
                f"{self.dice_threshold}."
            )
        image = self.presentation.image
        if image.shape[1:] != self.target.region.shape:
            raise InputError(
                f"explain: expected a target of the image's shape {tuple(image.shape[1:])}, got "
                f"{tuple(self.target.region.shape)}. Take it from this image."
            )


@dataclass(frozen=True)
class Ask:
    """What a search wants to know: the Dice when the model sees each of these regions.

    Attributes:
        regions: each (*spatial) bool.
        alone: each in a batch of its own. A network's numbers differ in the last digits with the
            size of the batch; a Dice that is to be returned is asked for alone, as a stranger
            would who shows the region again.
    """

    regions: list[Tensor]
    alone: bool = False


Search = Generator[Ask, list[float], R]


def run_searches(
    model: SegmentationModel,
    trials: Sequence[Trial],
    searches: Sequence[Search[R]],
    *,
    doing: str,
    on_step: OnStep | None = None,
) -> list[R]:
    """What each search returns; all advance together, one batch of regions a round.

    Args:
        model: the model that is shown the regions.
        trials: for each search, what its regions are tried on.
        searches: generators that have not begun yet.
        doing: what they do, for `on_step`.
        on_step: told of every round.
    """
    results: dict[int, R] = {}
    asked: dict[int, Ask] = {}
    answers: dict[int, list[float] | None] = dict.fromkeys(range(len(searches)))
    for num_rounds in count():
        if not answers:
            break
        if on_step:
            on_step(doing, num_rounds, None)
        for i, answer in answers.items():
            try:
                asked[i] = searches[i].send(answer)  # type: ignore[arg-type]  # None begins it
            except StopIteration as stop:
                results[i] = stop.value
                asked.pop(i, None)
        answers = _answer(model, trials, asked)
    return [results[i] for i in range(len(searches))]


def _answer(
    model: SegmentationModel, trials: Sequence[Trial], asked: dict[int, Ask]
) -> dict[int, list[float] | None]:
    answers: dict[int, list[float] | None] = {}
    together = [i for i, ask in asked.items() if not ask.alone]
    shown = dice_when_shown(
        model, [(trials[i], region) for i in together for region in asked[i].regions]
    )
    for i, ask in asked.items():
        if ask.alone:
            answers[i] = [dice_when_shown(model, [(trials[i], r)])[0] for r in ask.regions]
        else:
            n = len(ask.regions)
            answers[i], shown = list(shown[:n]), shown[n:]
    return answers


def dice_when_shown(model: SegmentationModel, shown: Sequence[tuple[Trial, Tensor]]) -> list[float]:
    """Dice of each trial's target when the model sees the region beside it.

    Args:
        shown: pairs of a trial and a region (*spatial) bool; all images of one shape.
    """
    if not shown:
        return []

    def work(part: slice) -> list[float]:
        pairs = shown[part]
        images = torch.cat([trial.presentation.show_regions([r]) for trial, r in pairs])
        with torch.no_grad():
            logits = model(images)
        for trial, _ in pairs:
            trial.cost.forward_passes += 1
        return [
            trial.target.dice_of_logits(one[None])[0]
            for (trial, _), one in zip(pairs, logits, strict=True)
        ]

    spatial = shown[0][1].shape
    return [dice for batch in model.in_batches(work, len(shown), spatial) for dice in batch]
