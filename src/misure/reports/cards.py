"""What the report's script draws cards of: the objects of a page, their values and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from misure.reports.planes import encoded_image, encoded_planes
from misure.reports.statistics import named_shares
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, ExplainedObject, FailedObject, ObjectRecord

_PREDICTED = ("predicted_dice", "low", "high", "failure_probability", "reasons")


def cards_of(
    folders: Sequence[RunFolder],
    records: Sequence[Mapping[str, ObjectRecord]],
    keys: Sequence[str],
    size_px: int,
) -> dict[str, Any]:
    """The `images` of a page, each once, and its `objects`, which number them.

    Args:
        folders: of the runs.
        records: for each run, key -> record.
        keys: of the objects.
        size_px: longer side of the pictures.

    Raises:
        RunFolderError: a file of a run is missing or damaged.
    """
    numbers: dict[str, int] = {}
    images: list[str] = []
    objects = []
    for key in keys:
        entries, image = [], None
        for folder, by_key in zip(folders, records, strict=True):
            record = by_key.get(key)
            entries.append(None if record is None else _entry(folder, record, size_px))
            if isinstance(record, DoneObject) and image is None:
                name = f"{folder.address}/{record.thumbnail}"
                if name not in numbers:
                    numbers[name] = len(images)
                    images.append(encoded_image(folder, record.thumbnail, size_px))
                image = numbers[name]
        first = next(by_key[key] for by_key in records if key in by_key)
        objects.append({"key": key, "class": first.class_name, "image": image, "runs": entries})
    return {"images": images, "objects": objects}


def add_reliability(cards: dict[str, Any], reviews: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """Puts what a reliability model predicts beside the other values of each object.

    Args:
        cards: see `cards_of`.
        reviews: rows of `score_run` for each run.
    """
    rows_by_key = [{row["key"]: row for row in rows} for rows in reviews]
    for card in cards["objects"]:
        for entry, rows in zip(card["runs"], rows_by_key, strict=True):
            if entry and (row := rows.get(card["key"])):
                entry |= {name: row[name] for name in _PREDICTED}


def _entry(folder: RunFolder, record: ObjectRecord, size_px: int) -> dict[str, Any]:
    """The values of one object in one run, and its planes."""
    if isinstance(record, FailedObject):
        return {"failed": record.reason}
    entry = {
        "passes": record.cost.pass_equivalents,
        "planes": encoded_planes(folder, record, size_px),
        "target_area": record.target.area_fraction,
    }
    if not isinstance(record, ExplainedObject):
        return entry
    small, large = record.minimally_sufficient_region, record.sufficient_region
    return entry | {
        "relative_area": small.relative_area,
        "area": small.area_fraction,
        "outside": small.outside_target_fraction,
        "dice": small.dice,
        "num_parts": small.num_parts,
        "growth_px": large.growth_px,
        "sufficient_area": large.area_fraction,
        "silhouette_dice": record.silhouette_dice,
        "transfer_dice": record.transfer_dice,
        "curve": [
            [point.dice_threshold, point.area_fraction, point.dice]
            for point in record.sufficiency_curve
        ],
        "context": sorted(named_shares(record).items(), key=lambda pair: -pair[1]),
    }
