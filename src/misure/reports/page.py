"""The report: runs as one page to look at, from the run folders alone.

Several runs stand side by side, the same objects aligned (see `misure.runs.alignment`). A page of
a few objects is self-contained. One of more has its pictures in a folder beside it, in small files
that the page loads as the reader scrolls; what is searched and sorted is always in the page. The
same folder holds the pictures at full size, if they are asked for: one file for each object, which
the page loads when the object is opened.
"""

import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import jinja2

from misure._util.files import durable_file
from misure._util.words import share
from misure._version import __version__
from misure.datasets import Dataset
from misure.errors import InputError, RunFolderError, entrance, printable
from misure.methods import METHODS
from misure.reliability import ReliabilityModel, score_run
from misure.reliability.annotated import LabelMap
from misure.reports.annotations import annotations_of
from misure.reports.answers import answers_at_a_glance, surroundings_at_a_glance
from misure.reports.cards import Numbered, Pictures, columns_of, natural_order
from misure.reports.channels_table import channels_at_a_glance
from misure.reports.picture_folder import PictureFolder, picture_script, remove_pictures
from misure.reports.settings_table import settings_table
from misure.reports.statistics import at_a_glance
from misure.runs.alignment import AlignedObject, RunInRow, align

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
    full_size: bool = False,
) -> list[Path]:
    """Writes the report of one run or of several, and gives the files, the page `out` first.

    With more than `OBJECTS_IN_ONE_FILE` objects, or with `full_size`, there are pictures in the
    folder `report_files` beside `report.html`, which belongs to the page.

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
        full_size: also write the pictures of each object at full size, as the source of the run has
            its image; the thumbnail stands for an image that is gone or has changed.

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
    numbering = {"ignore": ignore, "label_offset": label_offset, "label_map": label_map}
    shown = _Shown.open(runs, reliability, annotations, numbering)
    shown.data["full"] = full_size
    return _write(shown, out, picture_px, full_size=full_size)


def write_served_report(
    run: str | Path, out: Path, viewed: Mapping[str, int] | None
) -> Callable[[int], str]:
    """Writes the report of a run for the viewer, and gives what makes the scripts `full-N.js`.

    Args:
        run: the run folder.
        out: the file to write.
        viewed: key of a sample -> number of its image in the viewer, which each object then links
            to; None: none can be opened.

    Returns:
        A function of an object's place on the page, which gives the script of its pictures at full
        size. It raises an IndexError if there is no such object.

    Raises:
        RunFolderError: the folder is no run, or holds nothing yet.
    """
    shown = _Shown.open([run], None, (), {})
    shown.data["full"] = True
    if viewed is not None:
        shown.data["viewed"] = [viewed.get(one.first.sample) for one in shown.objects]
    _write(shown, out)
    build = shown.data["build"]
    return lambda place: picture_script(f"full-{place}", build, shown.pictures.full(place))


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What a page shows.

    Attributes:
        runs: side by side.
        sections: what the template shows of each run.
        objects: in the order of the page.
        pictures: of the objects.
        data: what the page searches and sorts.
        reliability: that predicts; None: none.
        has_annotations: whether anything is annotated.
    """

    runs: Sequence[RunInRow]
    sections: Sequence[Mapping[str, Any]]
    objects: Sequence[AlignedObject]
    pictures: Pictures
    data: dict[str, Any]
    reliability: ReliabilityModel | None
    has_annotations: bool

    @classmethod
    def open(
        cls,
        runs: Sequence[str | Path],
        reliability: ReliabilityModel | None,
        annotations: Sequence[str | Dataset],
        numbering: Mapping[str, Any],
    ) -> Self:
        """From run folders; the arguments are those of `write_report` and `annotations_of`."""
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
        annotated = annotations_of(runs, annotations, numbering)
        columns = columns_of(objects, reviews, annotated, names)
        return cls(
            runs=opened,
            sections=sections,
            objects=objects,
            pictures=Pictures(opened, objects, reviews, annotated),
            data=columns | {"build": secrets.token_hex(8), "of_part": _OBJECTS_OF_A_PART},
            reliability=reliability,
            has_annotations=any(annotated),
        )


def _write(
    shown: _Shown, out: Path, picture_px: int | None = None, *, full_size: bool = False
) -> list[Path]:
    num = len(shown.objects)
    size_px = next((px for most, px in _SIZES_PX if num <= most), _LEAST_SIZE_PX)
    parts = shown.pictures.parts(picture_px or size_px, _OBJECTS_OF_A_PART)
    folder = out.with_name(f"{out.stem}_files")
    data = shown.data | {"folder": folder.name}
    with ExitStack() as stack:
        files: list[Path] = []
        inside = list(parts) if num <= OBJECTS_IN_ONE_FILE else []
        if full_size or not inside:
            beside = stack.enter_context(PictureFolder(folder))
            for number, part in enumerate(() if inside else parts):
                beside.write(f"pictures-{number}", data["build"], part)
            for place in range(num if full_size else 0):
                beside.write(f"full-{place}", data["build"], shown.pictures.full(place))
            files = beside.files
        else:
            stack.callback(remove_pictures, folder)  # of a larger report before
        page = _template().stream(
            runs=shown.sections,
            reliability=shown.reliability,
            num_objects=num,
            version=__version__,
            nonce=secrets.token_urlsafe(16),
            data=data,
            parts=inside,
            has_answers=any(run.settings.asks_more for run in shown.runs),
            has_annotations=shown.has_annotations,
            settings=settings_table([run.folder.file() for run in shown.runs]),
            scripts=_SCRIPTS,
        )
        with (
            durable_file(out) as unfinished,
            unfinished.open("w", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.writelines(page)
    return [out, *files]


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
        "commands": _commands(run),
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


def _commands(run: RunInRow) -> list[str]:
    """The commands that show the pictures of a run at full size."""
    folder = shlex.quote(str(run.folder.address))
    commands = [f"misure report {folder} --full-size"]
    return [*commands, f"misure view {folder}"] if run.folder.storage.is_local else commands


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


def _shown_text(value: Any) -> Any:
    """A text letter by letter; HTML and all else as it is."""
    return printable(value) if type(value) is str else value


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("misure.reports"),
        autoescape=True,
        finalize=_shown_text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = share
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template("report.html")


def _names(runs: Sequence[str | Path]) -> list[str]:
    """The folders' own names; their whole paths if two have the same name."""
    short = [Path(run).resolve().name for run in runs]
    return short if len(set(short)) == len(short) else [str(run) for run in runs]
