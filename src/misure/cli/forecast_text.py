"""What `misure run --dry-run` says."""

from typing import TYPE_CHECKING

from misure._util.words import counted

if TYPE_CHECKING:
    from misure.runs.forecast import Forecast

Estimate = tuple[float, float | None, float | None]


def forecast_lines(forecast: "Forecast", out: str) -> list[str]:
    """What a run would take, in a few lines; each estimate with its spread and its source."""
    done = forecast.num_samples - forecast.num_left
    already = f", {done:,} of them finished in {out} already" if done else ""
    lines = [f"Images: {counted(forecast.num_samples, 'sample')}{already}."]
    if forecast.num_left:
        lines += [_objects(forecast), *_costs(forecast)]
    return [*lines, f"This was a dry run: nothing was written to {out}."]


def _objects(forecast: "Forecast") -> str:
    counts = forecast.counts
    failed = (
        f" {counted(forecast.num_unreadable, 'sample')} failed: {forecast.reason}"
        if forecast.num_unreadable
        else ""
    )
    if not counts:
        return f"Objects: not known.{failed}"
    if forecast.is_counted:
        return f"Objects: {sum(counts):,}, counted on all of them.{failed}"
    each = f"{min(counts)} to {max(counts)} each" if len(counts) > 1 else f"{counts[0]} there"
    return (
        f"Objects: {_about(forecast.num_objects)}, from {counted(len(counts), 'sample')} that the "
        f"network segmented ({each}); only a run counts all.{failed}"
    )


def _costs(forecast: "Forecast") -> list[str]:
    measured = forecast.measured
    if measured is None:
        return [f"Time: {_time(forecast)}, for segmenting alone: no object was found to explain."]
    for_one = f"Measured: {measured.key}, {counted(len(measured.passes), 'object')} explained"
    failed = (
        f"; {counted(len(measured.reasons), 'object')} failed: {measured.reasons[0]}"
        if measured.reasons
        else ""
    )
    if not measured.passes:
        return [f"{for_one}{failed}", "Passes and time: not known."]
    span = sorted({min(measured.passes), max(measured.passes)})
    passes = " to ".join(map(str, span))
    workers = counted(forecast.num_workers, "worker")
    if forecast.num_workers > 1:
        workers += f", if {forecast.num_workers} are so many times as fast as the one measured"
    of_one = "" if len(measured.passes) > 1 else "; how much objects differ is not known from one"
    return [
        f"{for_one} in {measured.seconds:.1f} s, {passes} pass equivalents an object{failed}.",
        f"Passes: {_about(forecast.pass_equivalents)} pass equivalents in all{of_one}.",
        f"Time: {_time(forecast)} with {workers}.",
    ]


def _about(estimate: Estimate) -> str:
    middle, low, high = estimate
    if low is None or high is None:
        return f"about {middle:,.0f} (spread not known)"
    if round(low) == round(high):
        return f"{middle:,.0f}"
    return f"about {middle:,.0f} ({low:,.0f} to {high:,.0f})"


def _time(forecast: "Forecast") -> str:
    from misure.models.long_passes import words_of_time

    middle, low, high = forecast.seconds
    if low is None or high is None:
        return f"about {words_of_time(middle)}"
    span = dict.fromkeys((words_of_time(low), words_of_time(high)))
    spread = f" ({' to '.join(span)})" if len(span) > 1 else ""
    return f"about {words_of_time(middle)}{spread}"
