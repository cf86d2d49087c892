"""Metrics: pure functions in one registry, each with its unit, range and direction.

    from misure.metrics import METRICS

    METRICS["energy_inside"].function(saliency_map, target.region)

The parameters of a metric name what it needs: a map, a region, the target's region, the pixels
known to matter; (model, probe, ...) if regions are shown to the model; maps made again under noise,
with another seed or of a randomised network. `METRICS[name].measure(subject)` takes all of that
from a `MeasuredMap`.
"""

# The order of these names is the order of the registry, and of every table.
from misure.metrics import (  # noqa: F401  # isort: skip
    sufficiency,
    localisation,
    fineness,
    content_dice,
    stability,
    sanity,
    computation,
)

from misure.metrics.measured_map import MeasuredMap
from misure.metrics.metric import ENDLESS, GROUPS, METRICS, Metric, metric

__all__ = ["ENDLESS", "GROUPS", "METRICS", "MeasuredMap", "Metric", "metric"]
