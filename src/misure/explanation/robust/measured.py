"""Robustness: for which share of all baseline images a region answers the question.

No baseline image is neutral, and a search keeps what suits its own. So a region is shown, or
hidden, on many drawn from a stated mixture (see `draws`), each in one pass, and the share
on which it answers the question gets exact bounds. The draws end early where the answer is clear,
at the price that `sequential` counts in.
"""

from collections.abc import Iterable, Sequence
from math import ceil, log

from torch import Tensor

from misure._util.drawing import InNotebook
from misure._util.progress import OnStep
from misure._util.records import Count, Fraction, Record
from misure.errors import InputError
from misure.explanation.changes import OtherPresentation
from misure.explanation.inpainting import require_library
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.robust.draws import FEW_TESTS, MIXTURE, BaselineDraws
from misure.explanation.robust.sequential import Looks, plan_looks
from misure.explanation.run_searches import run_searches
from misure.models.model import SegmentationModel

NUM_IMAGES = 59
"""Baseline images, at most: if the region holds on all, the share is at least 95 %, at 95 %."""

_DOES = {
    "sufficient": "The region suffices",
    "necessary": "Hiding the region loses the target",
    "blocking": "Hiding the region makes the model draw the target",
}
_CALLED = {
    "other_image": "other images",
    "flat": "flat colours",
    "inpainted": "in-painted",
}
_RULES = {
    True: "looks laid down beforehand, error spent in proportion to the draws, stage-wise order",
    False: "one look, Clopper-Pearson",
}


class HeldOfDrawn(Record, frozen=True, kw_only=True):
    """The draws of one kind of baseline image.

    Attributes:
        held: on how many the region answers the question.
        drawn: how many were drawn.
    """

    held: Count
    drawn: Count


class Robustness(InNotebook, Record, frozen=True, kw_only=True):
    """For which share of the baseline images of a mixture a region answers its question.

    Attributes:
        question: `sufficient`, `necessary` or `blocking`.
        threshold: the Dice that has to be reached, or down to which the target counts as lost.
        share: `held` / `drawn`.
        lower_bound, upper_bound: of the share in the mixture; each by itself holds with the
            confidence.
        confidence: of each bound.
        at_least: the share that was asked about; None: no draws end early.
        held, drawn: baseline images on which the region answers the question, and all.
        by_kind: kind -> those of it.
        left_out: kind -> why none of it was drawn.
        passes: forward passes; a baseline image that comes again is not shown again.
        looks: numbers of draws after which it was to be looked at them.
        rule: how the bounds were found (see `sequential`).
        answer: `yes`: the share is at least `at_least`; `no`: it is below; `unclear`.
        seed: of the draws.
    """

    question: str
    threshold: Fraction
    share: Fraction
    lower_bound: Fraction
    upper_bound: Fraction
    confidence: Fraction
    at_least: Fraction | None
    held: Count
    drawn: Count
    by_kind: dict[str, HeldOfDrawn]
    left_out: dict[str, str]
    passes: Count
    looks: list[Count]
    rule: str
    answer: str
    seed: int

    @property
    def fails_on(self) -> dict[str, HeldOfDrawn]:
        """The kinds on some of which the region does not answer the question."""
        return {kind: one for kind, one in self.by_kind.items() if one.held < one.drawn}

    @property
    def note(self) -> str:
        """What was found, with its figures, in one sentence; a second one says on what it fails."""
        bound = (
            f"at most {_percent(self.upper_bound, up=True)}"
            if self.answer == "no" or self.held == 0
            else f"at least {_percent(self.lower_bound)}"
        )
        counted = f"{_DOES[self.question]} on {self.held} of {self.drawn} baseline images"
        sentences = [f"{counted}: {bound} with {100 * self.confidence:.4g} % confidence."]
        if self.fails_on:
            kinds = [
                f"{one.drawn - one.held} of {one.drawn} ({_CALLED.get(kind, kind)})"
                for kind, one in self.fails_on.items()
            ]
            sentences.append(f"It fails on {_listed(kinds)}.")
        return " ".join(sentences)


def _percent(share: float, *, up: bool = False) -> str:
    """A share as a whole percentage, rounded down, so that it claims no more than the bound."""
    thousandth = round(100 * share, 6)
    return f"{-int(-thousandth // 1) if up else int(thousandth)} %"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def measure_robustness(
    probe: Probe, region: Tensor, draws: BaselineDraws, looks: Looks, at_least: float | None = None
) -> Search[Robustness]:
    """The robustness of a region, as a search (see `run_searches`).

    Args:
        probe: the target, and what is asked of the region.
        region: (*spatial) bool.
        draws: the baseline images.
        looks: after how many draws it is looked at them.
        at_least: the share that the looks were planned for.
    """
    tested = draws.num_tested
    known: dict[tuple[object, ...], bool] = {}
    outcomes: list[tuple[str, bool]] = []
    num_shown = 0
    for look, num in enumerate(looks.nums):
        batch = [draws.draw(number) for number in range(len(outcomes), num)]
        new = {one.key: one.presentation for one in batch if one.key not in known}
        if new:
            shown = [OtherPresentation(one) for one in new.values()]
            replies = yield Query([region] * len(new), changes=shown)
            num_shown += sum(reply.num_forwards for reply in replies)
            suffices = [probe.suffices(reply) for reply in replies]
            known |= dict(zip(new, suffices, strict=True))
        outcomes += [(one.kind, known[one.key]) for one in batch]
        held = sum(holds for _, holds in outcomes)
        if looks.is_clear(look, held):
            break
    lower, upper = looks.bounds(look, held)
    answer = "unclear"
    if at_least is not None and (lower >= at_least or upper < at_least):
        answer = "yes" if lower >= at_least else "no"
    return Robustness(
        question=probe.question.name,
        threshold=probe.dice_threshold,
        share=held / len(outcomes),
        lower_bound=lower,
        upper_bound=upper,
        confidence=looks.confidence,
        at_least=at_least,
        held=held,
        drawn=len(outcomes),
        by_kind=_by_kind(outcomes, draws.kinds),
        left_out=dict(draws.left_out),
        passes=num_shown + draws.num_tested - tested,
        looks=[*looks.nums],
        rule=_RULES[len(looks.nums) > 1],
        answer=answer,
        seed=draws.seed,
    )


def _by_kind(outcomes: list[tuple[str, bool]], kinds: Iterable[str]) -> dict[str, HeldOfDrawn]:
    by_kind = {kind: [holds for other, holds in outcomes if other == kind] for kind in kinds}
    return {
        kind: HeldOfDrawn(held=sum(held), drawn=len(held)) for kind, held in by_kind.items() if held
    }


def passes_for(at_least: float, confidence: float = 0.95) -> int:
    """Forward passes, at most, for saying that a region holds on such a share.

    As many as it takes if it holds on all, and some to test other images, in a search and after it.

    Args:
        at_least: the share, in (0, 1); 0: nothing is said.
        confidence: of the bound.
    """
    if at_least == 0:
        return 0
    return ceil(log(1 - confidence) / log(at_least)) + 2 * FEW_TESTS


def robustness_of(
    model: SegmentationModel,
    probe: Probe,
    region: Tensor,
    account: Account,
    *,
    at_least: float,
    other_images: Sequence[Tensor] = (),
    on_step: OnStep | None = None,
) -> Robustness | None:
    """The robustness of what a search found, on baseline images drawn apart from those it saw.

    Args:
        model: the model that is shown the region.
        probe: the target, and what is asked of the region.
        region: (*spatial) bool.
        account: where the passes are counted; at most `passes_for(at_least)`.
        at_least: the share, in (0, 1); 0: nothing is measured, and None returned.
        other_images: as of `misure.robustness`.
        on_step: called with progress.
    """
    if at_least == 0:
        return None
    draws = BaselineDraws(
        model, probe, MIXTURE, other_images, probe.seed, account, most_tests=FEW_TESTS
    )
    looks = plan_looks(passes_for(at_least) - FEW_TESTS - draws.most_passes, at_least)
    search = measure_robustness(probe, region, draws, looks, at_least)
    (found,) = run_searches(
        model, [probe], [search], doing="drawing", accounts=[account], on_step=on_step
    )
    return found


def check_askable(at_least: float) -> None:
    """Raises an InputError or MissingDependencyError if no `robust` region can be searched for.

    Args:
        at_least: the share of baseline images, `robust`.
    """
    if not 0 < at_least < 1:
        raise InputError(f"expected robust above 0 and below 1, got {at_least}.")
    require_library()
