"""What a terminal shows: progress, tables, the summary of an explanation."""

import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from misure._util.progress import shown_progress, shown_samples
from misure._util.words import counted, share
from misure.errors import printable

if TYPE_CHECKING:
    from misure._util.progress import OnStep
    from misure.explanation.evidence import PresentedSufficiency
    from misure.explanation.record import ExplanationRecord
    from misure.explanation.removal import Minimality
    from misure.models.cost import Cost
    from misure.runs.run import OnProgress, Progress

_MOST_CHANNELS = 20
_LINE_EVERY_S = 30.0
_NARROWEST = 12  # columns of a table's widest column


def say(text: str = "", *, err: bool = False) -> None:
    """Prints text; names of files and classes in it cannot command the terminal.

    Args:
        text: one line or several.
        err: on standard error.
    """
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)


@contextmanager
def progress(
    quiet: bool, cost: "Cost | None" = None, most_passes: int | None = None
) -> Iterator["OnStep | None"]:
    """A function to call with progress, which shows a bar; None if there is nothing to show.

    Args:
        quiet: show nothing.
        cost: of the work, as far as it is done. If this is no terminal, a line every 30 s says how
            many passes were made; None: it says nothing then.
        most_passes: that the work may take, or takes as a rule; None: not known.
    """
    is_terminal = sys.stderr.isatty()
    lines = None if quiet or is_terminal or cost is None else _Lines(cost, most_passes)
    with shown_progress(is_terminal and not quiet, lines, cost, most_passes) as told:
        yield told if is_terminal and not quiet else lines


class _Lines:
    """What is called with progress and writes a line every 30 s.

    Args:
        cost, most_passes: as of `progress`.
    """

    def __init__(self, cost: "Cost", most_passes: int | None) -> None:
        self._cost, self._most_passes = cost, most_passes
        self._start = self._last_line = time.perf_counter()

    def __call__(self, doing: str, _done: int, _total: int | None) -> None:
        now = time.perf_counter()
        if now < self._last_line + _LINE_EVERY_S:
            return
        self._last_line = now
        say(f"{doing}: {_passes(self._cost, self._most_passes, now - self._start)}", err=True)


def _passes(cost: "Cost", most_passes: int | None, seconds: float) -> str:
    """The passes that were made, and the time that is left if all of `most_passes` are made."""
    from misure.models.long_passes import words_of_time

    done = cost.pass_equivalents
    if not most_passes or not 0 < done < most_passes:
        return counted(done, "pass equivalent")
    left = words_of_time(seconds / done * (most_passes - done))
    return f"{done} of about {most_passes} pass equivalents, {left} left"


@contextmanager
def run_progress(quiet: bool) -> Iterator["OnProgress | None"]:
    """A function to call with the progress of a run: a bar, or a line every 30 s if no terminal."""
    is_terminal = sys.stderr.isatty()
    next_line_s = _LINE_EVERY_S

    def write_line(progress: "Progress") -> None:
        nonlocal next_line_s
        if progress.seconds >= next_line_s:
            next_line_s = progress.seconds + _LINE_EVERY_S
            say(_line_of(progress), err=True)

    with shown_samples(is_terminal and not quiet) as show:
        yield show if is_terminal or quiet else write_line


def _line_of(progress: "Progress") -> str:
    left = progress.seconds_left
    return (
        f"running: {progress.num_samples:,} of {counted(progress.total_samples, 'sample')}, "
        f"{counted(progress.num_objects, 'object')}, {progress.num_failed:,} failed, "
        f"{progress.num_samples / max(progress.seconds, 1e-9):.2f} samples/s"
        + (f", {left / 60:.0f} min left" if left is not None else "")
    )


def summary(values: "ExplanationRecord", picture: str) -> str:
    """What suffices in a sentence, and the values of an explanation as a few aligned lines."""
    from misure.explanation.summary import by_channel_sentences, sufficient_sentences
    from misure.reports.explanation_rows import explanation_rows

    cost, is_volume = values.cost, len(values.shape) == 3
    rows = explanation_rows(values)
    lines = [sufficient_sentences(values)[0], ""]
    lines += [table(["", "volume" if is_volume else "area", "dice", ""], rows), ""]
    if values.sufficiency_by_presentation:
        lines += [_presentations(values.sufficiency_by_presentation), ""]
    if values.by_channel:
        lines += [_by_channel(values), *by_channel_sentences(values), ""]
    lines += _notes(values)
    passes = counted(cost.pass_equivalents, "pass equivalent")
    lines.append(f"{passes} in {cost.seconds:.0f} s; see {picture}")
    return "\n".join(lines)


def _by_channel(values: "ExplanationRecord") -> str:
    """The regions of each channel as a table."""
    found = values.by_channel
    if found is None:
        return ""
    unit = "voxels" if len(values.shape) == 3 else "px"
    rows = [
        [
            one.name,
            _grown(one.growth_px, unit),
            share(one.sufficient_area_fraction),
            share(one.area_fraction),
        ]
        for one in found.channels[:_MOST_CHANNELS]
    ]
    if more := len(found.channels) - len(rows):
        rows.append([f"{more} more", "see explanation.json", "", ""])
    dices = [f"dice {found.sufficient_dice:.3f}", f"dice {found.dice:.3f}"]
    rows.append(["all channels", "", *dices])
    return table(["channel", "grown", "sufficient", "minimally sufficient"], rows)


def _grown(growth: float | None, unit: str) -> str:
    """How far a channel's region was grown; None: nothing of it is shown.

    >>> _grown(None, "px"), _grown(0.04, "px"), _grown(3.0, "voxels")
    ('not shown', 'not grown', '3.0 voxels')
    """
    if growth is None:
        return "not shown"
    return f"{growth:.1f} {unit}" if growth >= 0.05 else "not grown"


def _notes(values: "ExplanationRecord") -> list[str]:
    """How far the region is from minimal, and where a search ended early."""
    from misure.explanation.evidence import NUM_COMPARED
    from misure.explanation.record import reduction_note
    from misure.explanation.summary import sure_sentences

    small, lines = values.minimally_sufficient_region, []
    if note := reduction_note(values):
        more = "; more --max-passes may find less" if small.stopped_by == "max_passes" else ""
        lines.append(f"minimally_sufficient_region is not known to be minimal: {note}{more}.")
    if values.minimality:
        lines.append(_minimality(values.minimality, "voxels" if len(values.shape) == 3 else "px"))
    lines += sure_sentences(values)
    if values.sufficient_region.stopped_by == "max_passes":
        lines.append("The budget ended the growth: less than this sufficient_region may do.")
    wanted = values.settings.get("compare_presentations")
    if wanted and len(values.sufficiency_by_presentation) < NUM_COMPARED:
        lines.append(
            f"Of {NUM_COMPARED} presentations {len(values.sufficiency_by_presentation)} are "
            "shown: with the others the whole image does not suffice, or the budget ended."
        )
    return lines


def _presentations(presented: "list[PresentedSufficiency]") -> str:
    rows = [
        [
            way.baseline_image,
            f"{way.edge_px} px",
            f"{way.growth_px - way.edge_px:.1f} px"
            if way.growth_mm is None or not way.growth_px
            else f"{way.growth_mm * (1 - way.edge_px / way.growth_px):.1f} mm",
            share(way.area_fraction),
            f"{way.dice:.3f}",
            str(way.passes),
        ]
        for way in presented
    ]
    return table(["baseline image", "edge", "growth beyond it", "area", "dice", "passes"], rows)


def _minimality(minimality: "Minimality", unit: str = "px") -> str:
    tested, blocks = minimality.cells_tested, f"blocks of {minimality.cell_px} {unit}"
    if minimality.is_one_minimal:
        text = f"No single block of {minimality.cell_px} {unit} can be removed"
    elif not tested:
        text = f"{minimality.cells_left} {blocks} are left, not all of which were tried"
    else:
        text = (
            f"{minimality.removable} of {tested} tested {blocks} can be removed one by one, of "
            f"{minimality.cells_left} in all (--one-minimal removes them)"
        )
    return f"{text}; {counted(minimality.passes, 'pass')}."


def file_size(num_bytes: int) -> str:
    """A size in the unit that fits.

    >>> file_size(812), file_size(81_200), file_size(8_120_000)
    ('812 bytes', '81 kB', '8.1 MB')
    """
    if num_bytes < 1000:
        return counted(num_bytes, "byte")
    if num_bytes < 1e6:
        return f"{num_bytes / 1e3:.0f} kB"
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.1f} GB"


def terminal_width() -> int | None:
    """The columns of the terminal (COLUMNS comes before what it says); None for a pipe or file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(header: list[str], rows: list[list[str]], width: int | None = None) -> str:
    """Aligned columns, as text; cells of the widest are continued below if they do not fit.

    Args:
        header: of the columns; without any text there is no line for it.
        rows: of cells.
        width: to fit into; None: that of the terminal, and no limit in a pipe or a file.
    """
    cells = [[printable(cell) for cell in row] for row in [header, *rows]]
    shown = cells if any(header) else cells[1:]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width := width or terminal_width():
        while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > _NARROWEST:
            widths[widths.index(max(widths))] -= 1
    return "\n".join(line for row in shown for line in _lines_of_row(row, widths))


def _lines_of_row(row: list[str], widths: list[int]) -> list[str]:
    parts = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
    parts = [
        [cell] if len(cell) <= width else part
        for cell, width, part in zip(row, widths, parts, strict=True)
    ]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*parts, fillvalue="")
    ]
