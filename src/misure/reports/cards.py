"""The objects of the report: their figures in columns, and their pictures in parts of a few."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from misure._util.words import share
from misure.explanation.by_channel_record import ByChannelRecord
from misure.explanation.dust import dust_note
from misure.explanation.record import baseline_image_note, small_changes_note, transfer_source
from misure.reports.annotations import Annotated
from misure.reports.answers import effect_labels, hidden_captions
from misure.reports.figures import LABELS, figures_of, notes_of
from misure.reports.planes import encoded_full_image, encoded_image, object_pictures
from misure.reports.statistics import SEEN, named_shares
from misure.runs.alignment import AlignedObject, RunInRow
from misure.runs.images import RunImages
from misure.runs.record import DoneObject, ExplainedObject, FailedObject, ObjectRecord

Review = Mapping[str, Mapping[str, Any]]
"""Key -> what a reliability model predicts: a row of `score_run`."""

Annotations = Mapping[str, Annotated]
"""Key -> what is annotated of an object."""

_NONE, _REGIONS, _MAP, _FAILED = "-rmf"  # what a run has of an object


class Numbered:
    """Texts, each once, with their numbers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        """By their numbers."""
        return list(self._numbers)


def natural_order(objects: Sequence[AlignedObject]) -> list[AlignedObject]:
    """Objects by their keys, numbers in them by size: `a 2` before `a 10`."""
    return sorted(objects, key=lambda one: _natural(one.first.key))


def _natural(key: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"([0-9]+)", key.casefold())
    return [
        (1, len(digits), digits) if i % 2 and (digits := part.lstrip("0") or "0") else (0, 0, part)
        for i, part in enumerate(parts)
    ]


def columns_of(
    objects: Sequence[AlignedObject],
    reviews: Sequence[Review],
    annotations: Sequence[Annotations],
    names: Numbered,
) -> dict[str, Any]:
    """What is searched and sorted: `keys`, `classes`, `labels` of figures, and `runs`.

    Args:
        objects: in the order of the page.
        reviews: for each run what is predicted of its objects.
        annotations: for each run what is annotated of its objects.
        names: of classes; those that are met get a number.
    """
    known_of_run = enumerate(zip(reviews, annotations, strict=True))
    runs = [_run_columns(objects, number, *known, names) for number, known in known_of_run]
    known = {name for run in runs for name in run["figures"]}
    labels = {**LABELS, **_effect_labels(objects)}
    return {
        "keys": [one.first.key for one in objects],
        "classes": [names(one.first.class_name) for one in objects],
        "labels": [[name, label] for name, label in labels.items() if name in known],
        "runs": runs,
        "names": names.texts,
    }


def _effect_labels(objects: Sequence[AlignedObject]) -> dict[str, str]:
    """Name of the figure of each hidden class -> what it is, by name."""
    labels: dict[str, str] = {}
    for one in objects:
        for record in one.records:
            if isinstance(record, ExplainedObject):
                labels |= effect_labels(record)
    return dict(sorted(labels.items()))


def _run_columns(
    objects: Sequence[AlignedObject],
    number: int,
    review: Review,
    annotated: Annotations,
    names: Numbered,
) -> dict[str, Any]:
    """The columns of one run, each as long as the page; what few objects have is by number."""
    status: list[str] = []
    figures: dict[str, list[float | None]] = {}
    sparse: dict[str, dict[int, Any]] = {
        "key": {}, "class": {}, "failed": {}, "notes": {}, "leans": {}, "lost": {}, "dust": {},
        "context": {}, "transfer": {}, "outline": {},
    }  # fmt: skip
    for place, one in enumerate(objects):
        record = one.records[number]
        status.append(_status(record))
        if record is None:
            continue
        own = annotated.get(record.key)
        known = figures_of(
            record, one.overlaps[number], review.get(record.key), own.dice if own else None
        )
        for name, value in known.items():
            figures.setdefault(name, [None] * len(objects))[place] = value
        for column, cell in _sparse_cells(record, one.first, names).items():
            sparse[column][place] = cell
    return {"status": "".join(status), "figures": figures, **sparse}


def _status(record: ObjectRecord | None) -> str:
    if record is None:
        return _NONE
    if isinstance(record, FailedObject):
        return _FAILED
    return _REGIONS if isinstance(record, ExplainedObject) else _MAP


def _sparse_cells(record: ObjectRecord, first: ObjectRecord, names: Numbered) -> dict[str, Any]:
    """What only some objects have: another key or class than the first run's, a reason ..."""
    cells: dict[str, Any] = {}
    if record.key != first.key:
        cells["key"] = record.key
    if record.class_name != first.class_name:
        cells["class"] = names(record.class_name)
    if isinstance(record, FailedObject):
        cells["failed"] = record.reason
    if notes := notes_of(record):
        cells["notes"] = notes
    if isinstance(record, ExplainedObject):
        shares = sorted(named_shares(record).items(), key=lambda pair: -pair[1])
        if seen := [(names(name), round(share, 4)) for name, share in shares if share >= SEEN]:
            cells["context"] = seen
        if leans := baseline_image_note(record):
            cells["leans"] = leans
        if lost := small_changes_note(record):
            cells["lost"] = lost
        if record.silhouette_dice >= record.dice_threshold:
            cells["outline"] = 1
        if dust := dust_note(record):
            cells["dust"] = dust
        cells["transfer"] = names(transfer_source(record))
    return cells


class Pictures:
    """The pictures of the objects of a page, in parts of a few or of one at full size.

    Args:
        runs: side by side.
        objects: in the order of the page.
        reviews: for each run what is predicted of its objects.
        annotations: for each run what is annotated of its objects.
    """

    def __init__(
        self,
        runs: Sequence[RunInRow],
        objects: Sequence[AlignedObject],
        reviews: Sequence[Review],
        annotations: Sequence[Annotations],
    ) -> None:
        self._objects = objects
        self._by_run = list(zip(runs, reviews, annotations, strict=True))
        self._full = {run.folder: RunImages(run.folder) for run in runs}

    def __len__(self) -> int:
        return len(self._objects)

    def parts(self, size_px: int, num_of_part: int) -> Iterator[dict[str, Any]]:
        """The `images` and the `objects` of each part of the page, one part after the other.

        Args:
            size_px: longer side of the pictures.
            num_of_part: objects of a part.

        Raises:
            RunFolderError: a file of a run is missing or damaged.
        """
        for start in range(0, len(self), num_of_part):
            images = Images(size_px)
            some = self._objects[start : start + num_of_part]
            entries = [self._entries(one, images.number, size_px) for one in some]
            yield {"images": images.encoded, "objects": entries}

    def full(self, place: int) -> dict[str, Any]:
        """The part of one object alone, in all pixels of its image.

        Args:
            place: on the page.

        Raises:
            RunFolderError: a file of a run is missing or damaged.
        """
        images = Numbered()

        def number(run: RunInRow, record: DoneObject) -> int:
            return images(encoded_full_image(run.folder, record, self._full[run.folder]))

        entries = self._entries(self._objects[place], number, math.inf)
        return {"images": images.texts, "objects": [entries]}

    def _entries(
        self, one: AlignedObject, number: Callable[[RunInRow, DoneObject], int], size_px: float
    ) -> list[dict[str, Any] | None]:
        """What each run has of an object."""
        return [
            _entry(run, record, review, annotated, number, size_px)
            for (run, review, annotated), record in zip(self._by_run, one.records, strict=True)
        ]


class Images:
    """The small images of a part, each once.

    Args:
        size_px: longer side.
    """

    def __init__(self, size_px: int) -> None:
        self._size_px = size_px
        self._by_file: dict[tuple[str, str], int] = {}
        self._by_content = Numbered()

    @property
    def encoded(self) -> list[str]:
        """By their numbers."""
        return self._by_content.texts

    def number(self, run: RunInRow, record: DoneObject) -> int:
        """The number of the thumbnail of an object."""
        file = str(run.folder.address), record.thumbnail
        if file not in self._by_file:
            picture = encoded_image(run.folder, record.thumbnail, self._size_px)
            self._by_file[file] = self._by_content(picture)
        return self._by_file[file]


def _entry(
    run: RunInRow,
    record: ObjectRecord | None,
    review: Review,
    annotated: Annotations,
    number: Callable[[RunInRow, DoneObject], int],
    size_px: float,
) -> dict[str, Any] | None:
    """The pictures of one object in one run, and what the large view says of it."""
    if not isinstance(record, DoneObject):
        return None
    own = annotated.get(record.key)
    entry: dict[str, Any] = {
        "image": number(run, record),
        **object_pictures(run.folder, record, size_px, own.region if own else None),
    }
    if own:
        entry["annotated"] = round(own.dice, 6)
    if isinstance(record, ExplainedObject) and record.by_channel:
        entry["channels"] = channels_of(record.by_channel)
    if isinstance(record, ExplainedObject) and record.sufficiency_curve:
        entry["curve"] = [
            [point.dice_threshold, round(point.area_fraction, 6), round(point.dice, 6)]
            for point in record.sufficiency_curve
        ]
        entry["threshold"] = record.dice_threshold
    if isinstance(record, ExplainedObject) and record.summary:
        entry["summary"] = record.summary
        entry["answers"] = list(hidden_captions(record).items())
    if row := review.get(record.key):
        entry["reasons"] = row["reasons"]
    return entry


def channels_of(by_channel: ByChannelRecord) -> dict[str, Any]:
    """The `rows` of a table of regions by channel, and what is `said` of them together.

    A row has the channel's name, its growth in pixels (None: nothing of it is shown), and the
    shares of it that its sufficient and its minimally sufficient region are.
    """
    rows = [
        [
            one.name,
            None if one.growth_px is None else round(one.growth_px, 2),
            round(one.sufficient_area_fraction, 4),
            round(one.area_fraction, 4),
        ]
        for one in by_channel.channels
    ]
    ended = "" if by_channel.is_one_minimal else "; not every block of it was found to be missed"
    said = (
        f"With other places in each channel, {share(by_channel.area_fraction)} of all pixels of "
        f"all channels suffice, Dice {by_channel.dice:.3f} (sufficient region "
        f"{share(by_channel.sufficient_area_fraction)}, "
        f"Dice {by_channel.sufficient_dice:.3f}){ended}."
    )
    return {"rows": rows, "said": said}
