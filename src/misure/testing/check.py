"""A check for explainers: is what they find on the toy networks what these networks need?

A region is right if the network, shown that region alone, still segments the target (the Dice
reaches the threshold), and if it has little outside of what is needed. A map is judged by the
smallest top part of it that suffices in that sense. If nothing is needed, a region must be empty
and a map flat.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from misure.errors import reason_of
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.explanation.show import try_regions
from misure.methods.result import MethodResult
from misure.metrics.sufficiency import sufficient_top
from misure.models.model import SegmentationModel
from misure.models.segmentation import predicted_target
from misure.models.target import Target
from misure.testing.toys import TOYS, ToyNetwork

Explainer = Callable[[SegmentationModel, Tensor, Target], Any]

_FLAT = 1e-4  # largest difference within a flat map, relative to its largest value


@dataclass(frozen=True, kw_only=True)
class ToyResult:
    """What an explainer found on one toy network.

    Attributes:
        toy: name of the network.
        num_dimensions: 2 or 3.
        expected: what the network needs.
        got: what came, in one sentence.
        passed: whether that is right.
    """

    toy: str
    num_dimensions: int
    expected: str
    got: str
    passed: bool

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return (
            f"{verdict}  {self.toy} in {self.num_dimensions}D: expected {self.expected}; got "
            f"{self.got}."
        )


@dataclass(frozen=True)
class ExplainerReport:
    """What an explainer found on the toy networks; as text one line for each.

    Attributes:
        results: one for each network and number of dimensions.
    """

    results: tuple[ToyResult, ...]

    @property
    def passed(self) -> bool:
        """Whether all of them are right."""
        return all(result.passed for result in self.results)

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


def check_explainer(
    explainer: Explainer,
    *,
    dimensions: Sequence[int] = (2,),
    dice_threshold: float = 0.9,
    max_outside: float = 0.1,
) -> ExplainerReport:
    """What an explainer finds on the three toy networks, and whether that is right.

    An explainer that raises has failed; the report holds its error.

    Args:
        explainer: (model, image (C, *spatial), target) -> a map (*spatial) float, larger matters
            more, NaN where nothing is known; or a region (*spatial) bool; or an `Explanation` or
            `MethodResult` of misure. So `misure.explain` and each of `misure.METHODS` can be
            checked as they are.
        dimensions: which images: 2, 3, or both.
        dice_threshold: Dice from which the target counts as preserved, in (0, 1].
        max_outside: the largest part of the region, in [0, 1], that may lie outside of what is
            needed.
    """
    results = []
    for num_dimensions in dimensions:
        for toy in TOYS:
            passed, got = _try(explainer, toy, num_dimensions, dice_threshold, max_outside)
            results.append(
                ToyResult(
                    toy=toy.__name__,
                    num_dimensions=num_dimensions,
                    expected=toy.expected,
                    got=got,
                    passed=passed,
                )
            )
    return ExplainerReport(tuple(results))


def _try(
    explainer: Explainer,
    toy: type[ToyNetwork],
    num_dimensions: int,
    dice_threshold: float,
    max_outside: float,
) -> tuple[bool, str]:
    """Whether an explainer is right about one network, and what it found."""
    model, image = SegmentationModel(toy(), device="cpu"), toy.image(num_dimensions)
    target = predicted_target(model, image, 1)
    needed = toy.needed(num_dimensions)
    probe = Probe(target, make_presentations(model, image), dice_threshold=dice_threshold)
    try:
        evidence = _evidence(explainer(model, image, target))
    except Exception as error:
        return False, f"an error: {reason_of(error).removesuffix('.')}"
    if evidence.shape != needed.shape:
        return False, f"a result of shape {tuple(evidence.shape)} for {tuple(needed.shape)} pixels"
    if not needed.any():
        return _judge_nothing(evidence)
    return _judge_region(model, probe, evidence, needed, max_outside)


def _evidence(result: Any) -> Tensor:
    """The region (bool) or the map (float) that an explainer returned, on the CPU."""
    if isinstance(result, MethodResult):
        result = result.explanation or result.saliency_map
    if isinstance(result, Explanation):
        result = result.minimally_sufficient_region
    return torch.as_tensor(result).detach().cpu()


def _judge_nothing(evidence: Tensor) -> tuple[bool, str]:
    if evidence.dtype == torch.bool:
        return not evidence.any(), f"a region of {int(evidence.sum())} px"
    known = evidence[~evidence.isnan()]
    if not len(known):
        return False, "a map without a number"
    spread = float(known.max() - known.min())
    is_flat = spread <= _FLAT * max(1.0, float(known.abs().max()))
    return is_flat, "a flat map" if is_flat else f"a map with values that differ by {spread:.2g}"


def _judge_region(
    model: SegmentationModel, probe: Probe, evidence: Tensor, needed: Tensor, max_outside: float
) -> tuple[bool, str]:
    is_region = evidence.dtype == torch.bool
    region = evidence if is_region else sufficient_top(model, probe, evidence)
    dice = try_regions(model, [(probe, region)])[0].dice
    num_px, num_outside = int(region.sum()), int((region & ~needed).sum())
    kind = "a region" if is_region else "a map whose smallest sufficient part is"
    got = (
        f"{kind} {num_px} px large, {num_outside} px of it not needed, and with a Dice of "
        f"{dice:.2f} when shown alone"
    )
    is_right = dice >= probe.dice_threshold and num_outside <= max_outside * num_px
    return is_right, got
