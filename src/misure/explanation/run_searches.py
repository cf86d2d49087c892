"""Running searches: many at once, so that what they ask is gathered into batches.

The result of one does not depend on its neighbours.
"""

from collections.abc import Iterator, Sequence
from itertools import count

from misure.explanation.probe import Answer, Ask, OnStep, R, Search, Trial
from misure.explanation.show import try_regions
from misure.models.model import SegmentationModel


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
        trials: for each search, what its regions are tried on; all images of one shape.
        searches: generators that have not begun yet.
        doing: what they do, for `on_step`.
        on_step: told of every round.
    """
    results: dict[int, R] = {}
    asked: dict[int, Ask] = {}
    answers: dict[int, list[Answer] | None] = dict.fromkeys(range(len(searches)))
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
        answers = dict(_answers(model, trials, asked))
    return [results[i] for i in range(len(searches))]


def _answers(
    model: SegmentationModel, trials: Sequence[Trial], asked: dict[int, Ask]
) -> Iterator[tuple[int, list[Answer]]]:
    """The answers to each search, by its number."""
    batches: dict[tuple[bool, bool], list[int]] = {}
    for i, ask in asked.items():
        if ask.alone:
            yield i, [try_regions(model, [(trials[i], region)], ask)[0] for region in ask.regions]
        else:
            batches.setdefault((ask.gradient, ask.controlled), []).append(i)
    for together in batches.values():
        shown = [(trials[i], region) for i in together for region in asked[i].regions]
        found = iter(try_regions(model, shown, asked[together[0]]))
        for i in together:
            yield i, [next(found) for _ in asked[i].regions]
