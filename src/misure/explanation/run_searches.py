"""Running searches: many at once, their regions gathered into common batches.

The result of a search does not depend on its neighbours.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

from torch import Tensor

from misure._util.progress import OnStep
from misure.explanation.probe import Account, Probe, Query, R, Reply, Search
from misure.explanation.show import try_regions
from misure.models.model import SegmentationModel


def run_searches(
    model: SegmentationModel,
    probes: Sequence[Probe],
    searches: Sequence[Search[R]],
    *,
    doing: str,
    accounts: Sequence[Account] | None = None,
    on_step: OnStep | None = None,
) -> list[R]:
    """What each search returns; all advance together, one query each in a round.

    Args:
        model: the model that is shown the regions.
        probes: for each search, the target it must preserve; all images of one shape.
        searches: generators that have not begun yet.
        doing: what they do, for `on_step`.
        accounts: for each search, where its passes are counted, and what was shown is kept, before
            it goes on.
        on_step: called once a round, and before each batch of it.
    """
    results: dict[int, R] = {}
    asked: dict[int, Query] = {}
    replies: dict[int, list[Reply] | None] = dict.fromkeys(range(len(searches)))
    for num_rounds in count():
        if not replies:
            break
        tell = partial(on_step, doing, num_rounds, None) if on_step else None
        if tell:
            tell()
        for i, reply in replies.items():
            try:
                asked[i] = searches[i].send(reply)  # type: ignore[arg-type]  # None begins it
            except StopIteration as stop:
                results[i] = stop.value
                asked.pop(i, None)
        replies = dict(_answers(model, probes, asked, tell))
        if accounts is not None:
            for i, answered in replies.items():
                accounts[i].add_shown(probes[i], asked[i], answered or [])
    return [results[i] for i in range(len(searches))]


def _answers(
    model: SegmentationModel,
    probes: Sequence[Probe],
    asked: dict[int, Query],
    tell: Callable[[], None] | None,
) -> Iterator[tuple[int, list[Reply]]]:
    """The replies to each search, by its number."""
    batches: dict[tuple[bool, bool, bool], list[int]] = {}
    for i, query in asked.items():
        if query.alone:
            yield (
                i,
                [try_regions(model, [one], query, tell)[0] for one in _shown(probes[i], query)],
            )
        else:
            wanted = (query.gradient, query.content_controls, query.margins)
            batches.setdefault(wanted, []).append(i)
    for together in batches.values():
        shown = [one for i in together for one in _shown(probes[i], asked[i])]
        answers = iter(try_regions(model, shown, asked[together[0]], tell))
        for i in together:
            yield i, [next(answers) for _ in asked[i].regions]


def _shown(probe: Probe, query: Query) -> list[tuple[Probe, Tensor]]:
    """Each region of a query with the probe as which it is shown, after its small change if any."""
    if not query.changes:
        return [(probe, region) for region in query.regions]
    return [
        (probe.under(change), probe.region_under(change, region))
        for region, change in zip(query.regions, query.changes, strict=True)
    ]
