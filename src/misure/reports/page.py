"""Reports: runs as one page to look at, self-contained, from the run folders alone.

Several runs stand side by side, the same objects aligned by their keys. Each object carries its
planes as one small PNG: red is the saliency map, blue the number of nested regions that hold a
pixel, green the sum of 1 for the target, 2 for the sufficient and 4 for the minimally sufficient
region.
"""

import base64
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import jinja2
import numpy as np
import torch
from PIL import Image

from misure._util.files import durable_file
from misure._version import __version__
from misure.errors import InputError, RunFolderError
from misure.explanation.nested import map_value
from misure.images.orientation import AS_STORED
from misure.images.planes import viewing_plane
from misure.models.preprocessing import resize
from misure.reliability import ReliabilityModel, score_run
from misure.runs.folder import RunFolder
from misure.runs.run import read_run

OBJECTS_OF_A_PAGE = 2000
_FOR_REVIEW = 1000  # objects in the list; misure reliability score writes all of them

_SIZES_PX = ((150, 384), (600, 256), (OBJECTS_OF_A_PAGE, 128))
"""Up to so many objects, so long is the longer side of their pictures."""

_SHOWN = 0.4  # share of a small pixel from which a region is drawn there
_SHADES = 15  # of the map; more would be noise that does not compress
_ARRAYS = ("target", "sufficient_region", "minimally_sufficient_region")


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
        reliability: says how far each object can be trusted; its list for review is shown too.

    Raises:
        RunFolderError: a folder is no run, or holds nothing yet.
        InputError: no run, a file that cannot be written, or a run that the reliability model
            cannot judge.
    """
    folders, out = [RunFolder(one) for one in runs], Path(out)
    if not folders:
        raise InputError("report: expected at least one run folder, got none.")
    if not out.parent.is_dir():
        raise InputError(f"report: expected a file in an existing folder, got {out}.")
    records = [{one["key"]: one for one in read_run(one)} for one in runs]
    keys = sorted({key for of_run in records for key in of_run})
    if not keys:
        raise RunFolderError(f"report: expected a run with records, {runs[0]} has none yet.")
    names = _names(runs)
    starts = range(0, len(keys), OBJECTS_OF_A_PAGE)
    pages = [out if not i else out.with_stem(f"{out.stem}-{i + 1}") for i in range(len(starts))]
    reviews = [score_run(one, reliability) if reliability else [] for one in runs]
    page_of = {key: pages[i // OBJECTS_OF_A_PAGE].name for i, key in enumerate(keys)}
    overview = {
        "runs": [
            {
                "name": name,
                "settings": folder.settings(),
                **_at_a_glance(of_run),
                "review": [{**row, "page": page_of[row["key"]]} for row in rows[:_FOR_REVIEW]],
                "num_likely": sum(row["failure_probability"] >= 0.5 for row in rows),
            }
            for name, folder, of_run, rows in zip(names, folders, records, reviews, strict=True)
        ],
        "reliability": reliability,
        "pages": [page.name for page in pages],
        "num_objects": len(keys),
        "version": __version__,
    }
    for start, page in zip(starts, pages, strict=True):
        some = keys[start : start + OBJECTS_OF_A_PAGE]
        size_px = next(px for most, px in _SIZES_PX if len(some) <= most)
        data = _objects(folders, records, some, size_px)
        _add_reliability(data, reviews)
        text = _template().render(
            **overview, page=page.name, first=start + 1, num_here=len(some), data=data
        )
        with durable_file(page) as unfinished:
            unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
    return pages


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
    """The folders' own names, or as much of their paths as tells them apart."""
    short = [Path(one).resolve().name for one in runs]
    return short if len(set(short)) == len(short) else [str(one) for one in runs]


def _at_a_glance(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of each class, the context matrix, and what failed."""
    done = [one for one in records.values() if one["status"] == "done"]
    of_class: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in done:
        of_class[one["class_name"]].append(one)
    explained = {
        name: [one for one in some if "minimally_sufficient_region" in one]
        for name, some in of_class.items()
    }
    rows = [_class_row(name, some) for name, some in explained.items() if some]
    return {
        "num_done": len(done),
        "failed": [one for one in records.values() if one["status"] == "failed"],
        "classes": sorted(rows, key=lambda row: -row["outside"]),
        "context": _context_matrix({name: some for name, some in explained.items() if some}),
        "pass_equivalents": sum(one["cost"]["pass_equivalents"] for one in done),
    }


def _class_row(name: str, some: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    small = [one["minimally_sufficient_region"] for one in some]
    alone = [one["silhouette_dice"] >= one["dice_threshold"] for one in some]
    return {
        "class_name": name,
        "num": len(some),
        "relative_area": median(one["relative_area"] for one in small),
        "outside": median(one["outside_target_fraction"] for one in small),
        "growth_px": median(one["sufficient_region"]["growth_px"] for one in some),
        "outline": sum(alone) / len(alone),
    }


def _context_matrix(of_class: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Mean share of the minimal region that lies outside the object, on each other class.

    Of each cell also how many objects have at least a hundredth of their region there.
    """
    others = {c["class_name"] for some in of_class.values() for one in some for c in one["context"]}
    columns = sorted(others)
    rows = []
    for name, some in sorted(of_class.items()):
        shares = [_shares(one) for one in some]
        cells = [
            {
                "share": sum(of.get(column, 0.0) for of in shares) / len(shares),
                "num": sum(of.get(column, 0.0) >= 0.01 for of in shares),
            }
            for column in columns
        ]
        rows.append({"class_name": name, "num": len(some), "cells": cells})
    return {"columns": columns, "rows": rows}


def _shares(record: Mapping[str, Any]) -> dict[str, float]:
    """Other class -> share of the minimal region that lies on it."""
    outside = record["minimally_sufficient_region"]["outside_target_fraction"]
    total = sum(one["pixels"] for one in record["context"])
    return {
        one["class_name"]: outside * one["pixels"] / total for one in record["context"] if total
    }


def _objects(
    folders: Sequence[RunFolder],
    records: Sequence[Mapping[str, Mapping[str, Any]]],
    keys: Sequence[str],
    size_px: int,
) -> dict[str, Any]:
    """What the page's script draws cards of."""
    images: dict[str, int] = {}
    encoded: list[str] = []
    objects = []
    for key in keys:
        entries, image = [], None
        for folder, of_run in zip(folders, records, strict=True):
            record = of_run.get(key)
            entries.append(None if record is None else _entry(folder, record, size_px))
            if record and record["status"] == "done" and image is None:
                name = f"{folder.address}/{record['thumbnail']}"
                if name not in images:
                    images[name] = len(encoded)
                    encoded.append(_image(folder, record["thumbnail"], size_px))
                image = images[name]
        about = next(of_run[key] for of_run in records if key in of_run)
        objects.append(
            {
                "key": key,
                "class": about.get("class_name", ""),
                "image": image,
                "runs": entries,
            }
        )
    return {"images": encoded, "objects": objects}


def _add_reliability(data: dict[str, Any], reviews: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """What the reliability model says, beside the other figures of each object."""
    of_key = [{row["key"]: row for row in rows} for rows in reviews]
    for one in data["objects"]:
        for entry, known in zip(one["runs"], of_key, strict=True):
            if entry and (row := known.get(one["key"])):
                names = ("predicted_dice", "low", "high", "failure_probability", "reasons")
                entry |= {name: row[name] for name in names}


def _entry(folder: RunFolder, record: Mapping[str, Any], size_px: int) -> dict[str, Any]:
    """The figures of one object in one run, and its planes."""
    if record["status"] == "failed":
        return {"failed": record["reason"]}
    entry = {
        "passes": record["cost"]["pass_equivalents"],
        "planes": _planes(folder, record, size_px),
        "target_area": record["target"]["area_fraction"],
    }
    if "minimally_sufficient_region" in record:
        small, large = record["minimally_sufficient_region"], record["sufficient_region"]
        entry |= {
            "relative_area": small["relative_area"],
            "area": small["area_fraction"],
            "outside": small["outside_target_fraction"],
            "dice": small["dice"],
            "num_parts": small["num_parts"],
            "growth_px": large["growth_px"],
            "sufficient_area": large["area_fraction"],
            "silhouette_dice": record["silhouette_dice"],
            "transfer_dice": record["transfer_dice"],
            "curve": [
                [one["dice_threshold"], one["area_fraction"], one["dice"]]
                for one in record["sufficiency_curve"]
            ],
            "context": sorted(_shares(record).items(), key=lambda pair: -pair[1]),
        }
    return entry


def _planes(folder: RunFolder, record: Mapping[str, Any], size_px: int) -> str:
    """The planes of one object as a PNG in base64 (see the top of this file)."""
    arrays = folder.read_map(record["map"])
    saliency_map = arrays.pop("saliency_map")
    order = tuple((int(axis), bool(turn)) for axis, turn in record["viewing_order"] or AS_STORED)
    take, _ = viewing_plane(arrays["target"], order)
    levels = [map_value(one["dice_threshold"]) for one in record.get("sufficiency_curve", [])]
    height, width = take(arrays["target"]).shape
    scale = min(1.0, size_px / max(height, width))
    sides = [max(1, round(scale * side)) for side in (height, width)]

    def small(plane: torch.Tensor) -> np.ndarray:
        return resize(take(plane).float()[None, None], sides)[0, 0].numpy()

    flags = np.zeros(sides, np.uint8)
    for bit, name in enumerate(_ARRAYS):
        if name in arrays:
            flags |= (small(arrays[name]) >= _SHOWN).astype(np.uint8) << bit
    nested = np.zeros(sides, np.uint8)
    for level in levels:
        nested += small(saliency_map >= level) >= _SHOWN
    values = small(saliency_map.clamp(min=0))
    levels_shown = (_SHADES * values / max(float(values.max()), 1e-30)).round()
    brightness = (255 / _SHADES * levels_shown).round().astype(np.uint8)
    return _encoded(Image.fromarray(np.stack([brightness, flags, nested], 2)), "PNG")


def _image(folder: RunFolder, name: str, size_px: int) -> str:
    try:
        with Image.open(io.BytesIO(folder.storage.read(name)), formats=["JPEG"]) as picture:
            picture.thumbnail((size_px, size_px), Image.Resampling.BOX)
            return _encoded(picture, "JPEG")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise RunFolderError(
            f"report: expected an image in {name} of {folder.address}, but {error}."
        ) from error


def _encoded(picture: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 75} if kind == "JPEG" else {"optimize": True}))
    return base64.b64encode(buffer.getvalue()).decode()
