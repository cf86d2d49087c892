"""Metrics: pure functions in one registry, each with its unit, range and direction.

    from misure.metrics import METRICS

    METRICS["energy_inside"].function(saliency_map, target.region)

The parameters of a metric name what it needs: a map, a region, the target's region, what is known
to matter; (model, probe, ...) where regions are shown to the model; maps made again under noise,
with another seed or of a randomised network. `METRICS[name].measure(subject)` finds all of that in
a `MeasuredMap`.
"""

from misure.metrics.computation import pass_equivalents, peak_memory_mb, seconds
from misure.metrics.content_dice import silhouette_dice, transfer_dice
from misure.metrics.fineness import effective_area, gini, num_parts, total_variation
from misure.metrics.localisation import (
    average_precision,
    energy_inside,
    growth_px,
    iou,
    outside_target,
    pointing_game,
    precision,
    recall,
    relevance_distance_px,
)
from misure.metrics.measured_map import MeasuredMap
from misure.metrics.metric import Metric
from misure.metrics.sanity import randomisation_rank_correlation, randomisation_ssim
from misure.metrics.stability import noise_sensitivity, seed_agreement
from misure.metrics.sufficiency import deletion, insertion, necessity, sufficiency, sufficient_area

_INF = float("inf")

METRICS: dict[str, Metric] = {
    function.__name__: Metric(
        function.__name__, function, group, unit, smallest, largest, higher_is_better, when_empty
    )
    for group, function, unit, smallest, largest, higher_is_better, when_empty in (
        ("sufficiency", sufficiency, "Dice", 0.0, 1.0, True, None),
        ("sufficiency", sufficient_area, "image", 0.0, 1.0, False, 1.0),
        ("sufficiency", insertion, "Dice", 0.0, 1.0, True, None),
        ("sufficiency", deletion, "Dice", 0.0, 1.0, False, None),
        ("necessity", necessity, "Dice", 0.0, 1.0, False, 1.0),
        ("localisation", energy_inside, "1", 0.0, 1.0, None, 0.0),
        ("localisation", pointing_game, "1", 0.0, 1.0, None, 0.0),
        ("localisation", outside_target, "1", 0.0, 1.0, None, 0.0),
        ("localisation", iou, "1", 0.0, 1.0, True, 0.0),
        ("localisation", precision, "1", 0.0, 1.0, True, 0.0),
        ("localisation", recall, "1", 0.0, 1.0, True, 0.0),
        ("localisation", average_precision, "1", 0.0, 1.0, True, 0.0),
        ("localisation", growth_px, "px", 0.0, _INF, None, None),
        ("localisation", relevance_distance_px, "px", 0.0, _INF, None, None),
        ("fineness", effective_area, "image", 0.0, 1.0, False, 1.0),
        ("fineness", gini, "1", 0.0, 1.0, True, 0.0),
        ("fineness", total_variation, "1/px", 0.0, _INF, False, 0.0),
        ("fineness", num_parts, "parts", 0.0, _INF, False, 0.0),
        ("evidence", silhouette_dice, "Dice", 0.0, 1.0, False, None),
        ("evidence", transfer_dice, "Dice", 0.0, 1.0, False, None),
        ("stability", noise_sensitivity, "1", 0.0, _INF, False, 0.0),
        ("stability", seed_agreement, "1", -1.0, 1.0, True, 0.0),
        ("sanity", randomisation_rank_correlation, "1", -1.0, 1.0, False, 0.0),
        ("sanity", randomisation_ssim, "1", -1.0, 1.0, False, 1.0),
        ("computation", pass_equivalents, "passes", 0.0, _INF, False, None),
        ("computation", seconds, "s", 0.0, _INF, False, None),
        ("computation", peak_memory_mb, "MB", 0.0, _INF, False, None),
    )
}

GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS.values()))

__all__ = ["GROUPS", "METRICS", "MeasuredMap", "Metric"]
