"""The report: runs as one page to look at, from the run folders alone.

Several runs stand side by side, the same objects aligned (see `misure.runs.alignment`). A page of
a few objects is self-contained. One of more has its pictures in a folder beside it, in small files
that the page loads as the reader scrolls; what is searched and sorted is always in the page.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2

from misure._util.files import durable_file
from misure._version import __version__
from misure.datasets import Dataset
from misure.errors import InputError, RunFolderError, entrance
from misure.methods import METHODS
from misure.reliability import ReliabilityModel, score_run
from misure.reliability.annotated import LabelMap
from misure.reports.annotations import annotations_of
from misure.reports.answers import answers_at_a_glance, surroundings_at_a_glance
from misure.reports.cards import Numbered, columns_of, natural_order, picture_parts
from misure.reports.channels_table import channels_at_a_glance
from misure.reports.picture_folder import PictureFolder, remove_pictures
from misure.reports.settings_table import settings_table
from misure.reports.statistics import at_a_glance
from misure.runs.alignment import RunInRow, align

OBJECTS_IN_ONE_FILE = 1000
"""Most objects whose pictures are in the page itself."""

_OBJECTS_OF_A_PART = 32
_FOR_REVIEW = 1000  # objects in the list; misure reliability score writes all of them

_SIZES_PX = ((150, 384), (600, 256), (5000, 192))
"""Number of objects, at most, and the longer side of their pictures."""

_LEAST_SIZE_PX = 128

_SCRIPTS = (
    *("objects", "pictures", "outlines", "painting", "words", "marks", "ranges", "filters"),
    *("charts", "cards", "zoom", "dialog", "saving", "link", "printing", "tables", "start"),
)
"""The page's scripts by their nouns, each before those that need it."""


@entrance("write_report")
def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    reliability: ReliabilityModel | None = None,
    annotations: Sequence[str | Dataset] = (),
    ignore: Sequence[int] | None = None,
    label_offset: int | None = None,
    label_map: LabelMap | None = None,
    picture_px: int | None = None,
    viewed: Mapping[str, int] | None = None,
) -> list[Path]:
    """Writes the report of one run or of several, and gives the files, the page `out` first.

    With more than `OBJECTS_IN_ONE_FILE` objects the pictures are in the folder `report_files`
    beside `report.html`, which belongs to the page.

    Args:
        runs: run folders.
        out: the file to write.
        reliability: predicts how far each object can be trusted; the report then also lists what to
            review.
        annotations: data sets with annotations, for each run or one for all (see `read_examples`);
            the report then shows the annotated pixels of each object and its Dice with them.
        ignore, label_offset, label_map: what the numbers in annotations mean (see `read_examples`).
        picture_px: longer side of the pictures in the report, at most; None: 384 for 150 objects or
            fewer, less for more. A run keeps its images as small as its plan says (`thumbnail_px`).
        viewed: key of a sample -> number of its image in the viewer that serves the page
            (`misure view`), which each object then links to; None: no viewer.

    Raises:
        RunFolderError: a folder is no run, or holds nothing yet.
        InputError: no run, a file that cannot be written, a folder of pictures that holds other
            files, a run that the reliability model cannot judge, annotations that do not fit, or
            pictures of less than 16 pixels.
    """
    out = Path(out)
    if not runs:
        raise InputError("expected at least one run folder, got none.")
    if not out.parent.is_dir() or out.is_dir():
        raise InputError(f"expected a file in an existing folder, got {out}.")
    if picture_px is not None and picture_px < 16:
        raise InputError(f"expected picture_px of 16 or more, got {picture_px}.")
    opened = [RunInRow.open(run) for run in runs]
    objects = natural_order(align(opened))
    if not objects:
        raise RunFolderError(f"expected a run with records, {runs[0]} has none yet.")
    rows = [score_run(run, reliability) if reliability else [] for run in runs]
    reviews = [{row["key"]: row for row in of_run} for of_run in rows]
    names = Numbered()
    sections = [
        _section(*of_run, names=names)
        for of_run in zip(_names(runs), opened, rows, _places(opened, objects), strict=True)
    ]
    numbering = {"ignore": ignore, "label_offset": label_offset, "label_map": label_map}
    annotated = annotations_of(runs, annotations, numbering)
    data = columns_of(objects, reviews, annotated, names) | {"build": secrets.token_hex(8)}
    if viewed is not None:
        data["viewed"] = [viewed.get(one.first.sample) for one in objects]
    size_px = next((px for most, px in _SIZES_PX if len(objects) <= most), _LEAST_SIZE_PX)
    size_px = picture_px or size_px
    parts = picture_parts(opened, objects, reviews, annotated, size_px, _OBJECTS_OF_A_PART)
    with _pictures(out, data, parts, is_apart=len(objects) > OBJECTS_IN_ONE_FILE) as (
        inside,
        files,
    ):
        data |= {"of_part": _OBJECTS_OF_A_PART, "folder": files[0].parent.name if files else ""}
        page = _template().stream(
            runs=sections,
            reliability=reliability,
            num_objects=len(objects),
            version=__version__,
            nonce=secrets.token_urlsafe(16),
            data=data,
            parts=inside,
            has_answers=any(run.settings.asks_more for run in opened),
            has_annotations=any(annotated),
            settings=settings_table([run.folder.file() for run in opened]),
            scripts=_SCRIPTS,
        )
        with (
            durable_file(out) as unfinished,
            unfinished.open("w", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.writelines(page)
    return [out, *files]


@contextmanager
def _pictures(
    out: Path, data: Mapping[str, Any], parts: Iterator[dict[str, Any]], *, is_apart: bool
) -> Iterator[tuple[list[dict[str, Any]], list[Path]]]:
    """The parts that go into the page, and the files of those beside it."""
    folder = out.with_name(f"{out.stem}_files")
    if is_apart:
        with PictureFolder(folder) as pictures:
            for number, part in enumerate(parts):
                pictures.write(number, data["build"], part)
            yield [], pictures.files
        return
    yield list(parts), []
    remove_pictures(folder)  # of a larger report before


def _section(
    name: str,
    run: RunInRow,
    review: Sequence[Mapping[str, Any]],
    places: Mapping[str, int],
    *,
    names: Numbered,
) -> dict[str, Any]:
    """What the template shows of one run."""
    method = METHODS.get(run.settings.method)
    return {
        "name": name,
        "settings": run.settings,
        "kind": method.kind if method else "",
        **at_a_glance(run.records),
        "answers": answers_at_a_glance(run.records),
        "surroundings": surroundings_at_a_glance(run.settings.model, run.records, places),
        "channels": channels_at_a_glance(run.records),
        "number_of": names,
        "review": [{**row, "place": places[row["key"]]} for row in review[:_FOR_REVIEW]],
        "num_likely": sum(row["failure_probability"] >= 0.5 for row in review),
    }


def _places(runs: Sequence[RunInRow], objects: Sequence[Any]) -> list[dict[str, int]]:
    """For each run key -> place on the page."""
    return [
        {
            record.key: place
            for place, one in enumerate(objects)
            if (record := one.records[number]) is not None
        }
        for number in range(len(runs))
    ]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("misure.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template("report.html")


def _names(runs: Sequence[str | Path]) -> list[str]:
    """The folders' own names; their whole paths if two have the same name."""
    short = [Path(run).resolve().name for run in runs]
    return short if len(set(short)) == len(short) else [str(run) for run in runs]
