"""A preset of your own: `smallest` with half of its budget and a soft edge."""

from dataclasses import replace

from misure.explanation.presets import PRESETS

_smallest = PRESETS["smallest"]
quick = replace(
    _smallest,
    name="quick",
    reduction=replace(_smallest.reduction, max_passes=80),
    edge_px=2,
    summary="As `smallest`, with half of its budget and a soft edge of 2 pixels.",
    usual_passes="at most 80",
)
PRESETS.register("quick", quick, __name__)
