"""Relevance of a target: the one rule for whether what is known to matter is about it."""

from torch import Tensor

from misure.datasets.sample import Sample
from misure.models.target import Target

_LEAST_SHARE = 0.8


def relevance_of(sample: Sample, target: Target) -> Tensor | None:
    """The region (*spatial) bool that is known to matter for a target, or None.

    `Sample.relevance` belongs to one arrangement of objects and holds all of them: an explanation
    of any of them must contain the others too. It is about a target that is one of these objects,
    that is, at least 0.8 of its pixels lie on the relevance. How the target was chosen makes no
    difference: the same pixels have the same relevance.

    On Triangle, single objects have 0.96 or more of their pixels on the relevance, or at most 0.02.
    A class with objects in two arrangements has about half of its pixels there (0.38 to 0.59 in
    `triangle-two`), so a limit of one half would decide by chance.

    Args:
        sample: the image that the target was taken from.
        target: what is explained.

    Returns:
        The relevance; None if none is known, or if it is about something else.
    """
    relevance = sample.relevance
    if relevance is None or not bool(relevance.any()):
        return None
    share = float((target.region & relevance.to(target.region.device)).sum() / target.region.sum())
    return relevance if share >= _LEAST_SHARE else None
