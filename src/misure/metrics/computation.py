"""What a map cost."""

from misure.models.cost import Cost


def pass_equivalents(cost: Cost) -> float:
    """Forward passes + 2 x backward passes, one for each image shown to the model; 0 or more.

    Args:
        cost: what was counted while the map was made.
    """
    return float(cost.pass_equivalents)


def seconds(cost: Cost) -> float:
    """Wall-clock time; comparable within one run on one machine only.

    Args:
        cost: what was counted while the map was made.
    """
    return cost.seconds


def peak_memory_mb(peak_memory_mb: float) -> float:
    """The most memory in use while the map was made, model and all, in 10^6 bytes.

    Args:
        peak_memory_mb: what was measured (see `PeakMemory`).
    """
    return peak_memory_mb
