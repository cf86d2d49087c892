"""A preset of your own: `smallest` with a budget of its own and a soft edge."""

from dataclasses import replace

from misure.explanation.presets import PRESETS

_smallest = PRESETS["smallest"]
brief = replace(
    _smallest,
    name="brief",
    max_passes=96,
    edge_px=2,
    summary="As `smallest`, with a budget of 96 passes and a soft edge of 2 pixels.",
    usual_passes="at most 96",
)
PRESETS.register("brief", brief, __name__)
