"""What a map cost."""

from misure.methods.result import MethodResult
from misure.metrics.metric import ENDLESS, metric


@metric(
    group="computation",
    unit="passes",
    range=(0.0, ENDLESS),
    better="lower",
    formula="forwards + 2 × backwards, one for each image shown",
)
def pass_equivalents(result: MethodResult) -> float:
    """Forward passes + 2 × backward passes, one for each image shown to the model; 0 or more.

    Args:
        result: the map, with what was counted while it was made.
    """
    return float(result.cost.pass_equivalents)


@metric(
    group="computation",
    unit="s",
    range=(0.0, ENDLESS),
    better="lower",
    formula="wall clock while the map was made",
)
def seconds(result: MethodResult) -> float:
    """Wall-clock time; comparable within one run on one machine only.

    Args:
        result: the map, with what was measured while it was made.
    """
    return result.cost.seconds


@metric(
    group="computation",
    unit="MB",
    range=(0.0, ENDLESS),
    better="lower",
    formula="the most memory in use while the map was made, model included",
)
def peak_memory_mb(result: MethodResult) -> float | None:
    """The most memory in use while the map was made, model included, in 10^6 bytes.

    Args:
        result: the map, with what was measured while it was made (see `PeakMemory`).
    """
    return result.peak_memory_mb
