"""What a terminal shows: progress, tables, the summary of an explanation."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from misure.explanation.probe import OnStep
    from misure.runs.run import OnProgress, Progress

_LINE_EVERY_S = 30.0


@contextmanager
def progress(quiet: bool) -> Iterator["OnStep | None"]:
    """Something to tell of progress: a bar on a terminal, None elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    bars: list[tqdm[Any]] = []

    def on_step(doing: str, done: int, total: int | None) -> None:
        if not bars or bars[0].desc != doing or done < bars[0].n:
            for bar in bars:
                bar.close()
            bars[:] = [tqdm(total=total, desc=doing, unit="step", leave=False)]
        bars[0].update(done - bars[0].n)

    try:
        yield on_step
    finally:
        for bar in bars:
            bar.close()


@contextmanager
def run_progress(quiet: bool) -> Iterator["OnProgress | None"]:
    """Something to tell of the progress of a run: a bar, or a line every 30 s off a terminal."""
    if quiet:
        yield None
        return
    from tqdm import tqdm

    is_terminal = sys.stderr.isatty()
    bar: tqdm[Any] = tqdm(disable=not is_terminal, unit="sample", desc="running")
    next_line_s = _LINE_EVERY_S

    def on_progress(progress: "Progress") -> None:
        nonlocal next_line_s
        bar.total = progress.total_samples
        bar.set_postfix(items=progress.num_objects, failed=progress.num_failed, refresh=False)
        bar.update(progress.num_samples - bar.n)
        if not is_terminal and progress.seconds >= next_line_s:
            next_line_s = progress.seconds + _LINE_EVERY_S
            tqdm.write(_line_of(progress), file=sys.stderr)

    try:
        yield on_progress
    finally:
        bar.close()


def _line_of(progress: "Progress") -> str:
    left = progress.seconds_left
    return (
        f"running: {progress.num_samples} of {progress.total_samples} samples, "
        f"{progress.num_objects} items, {progress.num_failed} failed, "
        f"{progress.num_samples / max(progress.seconds, 1e-9):.2f} samples/s"
        + (f", {left / 60:.0f} min left" if left is not None else "")
    )


def summary(record: dict[str, Any], out: Path) -> str:
    """The figures of an explanation's record as a few aligned lines."""
    target, large = record["target"], record["sufficient_region"]
    small, cost = record["minimally_sufficient_region"], record["cost"]

    def figures(region: dict[str, Any]) -> list[str]:
        return [f"{region['area_fraction']:.2%}", f"{region['dice']:.3f}"]

    size = f"{small['relative_area']:.2f} x the target"
    outside = f"{small['outside_target_fraction']:.0%} of it outside"
    parts = f"{small['num_parts']} parts of {small['grain_px']} px or more"
    rows = [
        ["target", f"{target['area_fraction']:.2%}", "", target["class_name"]],
        ["sufficient_region", *figures(large), f"grown {large['growth_px']:.1f} px"],
        ["minimally_sufficient_region", *figures(small), f"{size}, {outside}"],
        ["its outline alone", "", f"{record['silhouette_dice']:.3f}", parts],
        ["on another image", "", f"{record['transfer_dice']:.3f}", ""],
    ]
    lines = [table(["", "area", "dice", ""], rows), ""]
    if record["sufficiency_by_presentation"]:
        lines += [_presentations(record["sufficiency_by_presentation"]), ""]
    if record["minimality"]:
        lines.append(_minimality(**record["minimality"]))
    if small["stopped_by"] == "max_passes":
        lines.append("The search ended with its budget: more --max-passes may find less.")
    lines.append(
        f"{cost['pass_equivalents']} pass equivalents in {cost['seconds']:.0f} s; "
        f"see {out}/overview.png"
    )
    return "\n".join(lines)


def _presentations(presented: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["baseline_image"],
            f"{one['edge_px']} px",
            f"{one['growth_px'] - one['edge_px']:.1f} px",
            f"{one['area_fraction']:.2%}",
            f"{one['dice']:.3f}",
            str(one["passes"]),
        ]
        for one in presented
    ]
    return table(["baseline image", "edge", "growth beyond it", "area", "dice", "passes"], rows)


def _minimality(
    cell_px: int, cells_left: int, cells_tested: int, removable: int, passes: int
) -> str:
    if removable == 0 and cells_tested == cells_left:
        said = f"Certified: no single block of {cell_px} px can be removed"
    else:
        said = (
            f"Of {cells_tested} of its {cells_left} blocks of {cell_px} px, {removable} can be "
            "removed one by one (--one-minimal removes them)"
        )
    return f"{said}; {passes} passes."


def table(header: list[str], rows: list[list[str]]) -> str:
    """Aligned columns, as text."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join(lines)
