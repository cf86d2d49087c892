"""The report: runs as one page to look at, self-contained, from the run folders alone.

Several runs stand side by side, the same objects aligned by their keys.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from misure._util.files import durable_file
from misure._version import __version__
from misure.errors import InputError, RunFolderError, entrance
from misure.reliability import ReliabilityModel, score_run
from misure.reports.cards import add_reliability, cards_of
from misure.reports.statistics import at_a_glance
from misure.runs.folder import RunFolder
from misure.runs.record import ObjectRecord
from misure.runs.run import read_run

OBJECTS_OF_A_PAGE = 2000
_FOR_REVIEW = 1000  # objects in the list; misure reliability score writes all of them

_SIZES_PX = ((150, 384), (600, 256), (OBJECTS_OF_A_PAGE, 128))
"""Number of objects on a page, at most, and the longer side of their pictures."""


@entrance("write_report")
def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    reliability: ReliabilityModel | None = None,
) -> list[Path]:
    """Writes the report of one run or of several, and gives the pages, the first one `out`.

    More than `OBJECTS_OF_A_PAGE` objects make more pages, `report-2.html` beside `report.html`.

    Args:
        runs: run folders.
        out: the file to write.
        reliability: predicts how far each object can be trusted; the report then also lists what to
            review.

    Raises:
        RunFolderError: a folder is no run, or holds nothing yet.
        InputError: no run, a file that cannot be written, or a run that the reliability model
            cannot judge.
    """
    folders, out = [RunFolder(run) for run in runs], Path(out)
    if not folders:
        raise InputError("expected at least one run folder, got none.")
    if not out.parent.is_dir():
        raise InputError(f"expected a file in an existing folder, got {out}.")
    records = [{record.key: record for record in read_run(run)} for run in runs]
    keys = sorted({key for by_key in records for key in by_key})
    if not keys:
        raise RunFolderError(f"expected a run with records, {runs[0]} has none yet.")
    starts = range(0, len(keys), OBJECTS_OF_A_PAGE)
    pages = [out if not i else out.with_stem(f"{out.stem}-{i + 1}") for i in range(len(starts))]
    reviews = [score_run(run, reliability) if reliability else [] for run in runs]
    page_of = {key: pages[i // OBJECTS_OF_A_PAGE].name for i, key in enumerate(keys)}
    parts = zip(_names(runs), folders, records, reviews, strict=True)
    overview = {
        "runs": [_section(*run, page_of) for run in parts],
        "reliability": reliability,
        "pages": [page.name for page in pages],
        "num_objects": len(keys),
        "version": __version__,
    }
    for start, page in zip(starts, pages, strict=True):
        here = keys[start : start + OBJECTS_OF_A_PAGE]
        size_px = next(px for most, px in _SIZES_PX if len(here) <= most)
        cards = cards_of(folders, records, here, size_px)
        add_reliability(cards, reviews)
        text = _template().render(
            **overview, page=page.name, first=start + 1, num_here=len(here), data=cards
        )
        with durable_file(page) as unfinished:
            unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
    return pages


def _section(
    name: str,
    folder: RunFolder,
    records: Mapping[str, ObjectRecord],
    review: Sequence[Mapping[str, Any]],
    page_of: Mapping[str, str],
) -> dict[str, Any]:
    """What the template shows of one run."""
    return {
        "name": name,
        "settings": folder.settings(),
        **at_a_glance([*records.values()]),
        "review": [{**row, "page": page_of[row["key"]]} for row in review[:_FOR_REVIEW]],
        "num_likely": sum(row["failure_probability"] >= 0.5 for row in review),
    }


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("misure.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    return environment.get_template("report.html")


def _names(runs: Sequence[str | Path]) -> list[str]:
    """The folders' own names; their whole paths if two have the same name."""
    short = [Path(run).resolve().name for run in runs]
    return short if len(set(short)) == len(short) else [str(run) for run in runs]
