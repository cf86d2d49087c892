"""Metrics: pure functions in one registry, each with its unit, range and direction.

    from misure.metrics import METRICS

    METRICS["energy_inside"].function(saliency_map, target.region)

Three kinds of arguments: maps and regions for `localisation` and `fineness`; (model, trial, map)
for `sufficiency`, whose functions show regions to the model and count their passes.
"""

from misure.metrics.fineness import effective_area, gini, num_parts, total_variation
from misure.metrics.localisation import (
    average_precision,
    energy_inside,
    iou,
    outside_target,
    pointing_game,
    precision,
    recall,
)
from misure.metrics.metric import Metric
from misure.metrics.sufficiency import deletion, insertion, necessity, sufficiency, sufficient_area

_INF = float("inf")

METRICS: dict[str, Metric] = {
    function.__name__: Metric(
        function.__name__, function, group, unit, 0.0, largest, higher_is_better, when_empty
    )
    for group, function, unit, largest, higher_is_better, when_empty in (
        ("sufficiency", sufficiency, "Dice", 1.0, True, None),
        ("sufficiency", sufficient_area, "image", 1.0, False, 1.0),
        ("sufficiency", insertion, "Dice", 1.0, True, None),
        ("sufficiency", deletion, "Dice", 1.0, False, None),
        ("sufficiency", necessity, "Dice", 1.0, False, 1.0),
        ("localisation", energy_inside, "1", 1.0, None, 0.0),
        ("localisation", pointing_game, "1", 1.0, None, 0.0),
        ("localisation", outside_target, "1", 1.0, None, 0.0),
        ("localisation", iou, "1", 1.0, True, 0.0),
        ("localisation", precision, "1", 1.0, True, 0.0),
        ("localisation", recall, "1", 1.0, True, 0.0),
        ("localisation", average_precision, "1", 1.0, True, 0.0),
        ("fineness", effective_area, "image", 1.0, False, 1.0),
        ("fineness", gini, "1", 1.0, True, 0.0),
        ("fineness", total_variation, "1/px", _INF, False, 0.0),
        ("fineness", num_parts, "parts", _INF, False, 0.0),
    )
}

__all__ = ["METRICS", "Metric"]
