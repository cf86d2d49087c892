"""A run as a data set of FiftyOne, in its own layout (`FiftyOneDataset`), written without it.

    metadata.json         the fields and their types
    samples.json          one sample for each object
    data/NAME.jpg         its image, one file for all objects of an image
    fields/FIELD/NAME.png masks (0 and 255), and the saliency map (0 to 255)

Paths are relative, so the folder may be moved. `VERSION` is the oldest release of FiftyOne whose
layout this is; newer ones migrate it themselves.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure._util.readable_names import DistinctNames, readable_name
from misure.errors import InputError
from misure.images.orientation import AS_STORED, ViewingOrder, lay_out
from misure.images.planes import as_colours, grey_range, in_bytes
from misure.images.volumes import stem_of
from misure.reports.figures import LABELS, figures_of, notes_of
from misure.runs.answers import answered_regions
from misure.runs.folder import RunFolder
from misure.runs.images import RunImage, RunImages
from misure.runs.record import DoneObject, ExplainedObject

VERSION = "1.0.0"

_REGIONS = ("target", "sufficient_region", "minimally_sufficient_region")
_MAP = "saliency_map"
_SHOWN, _TOP = 255, 255  # of masks and of maps
_TIME = {"$date": "2000-01-01T00:00:00Z"}  # FiftyOne puts that of the import in its place
_NO_NAME = re.compile(r"\W")  # in a field, in which a dot leads to a part
_QUALITY = 95  # of the JPEGs
_FIELDS, _LABELS = "fiftyone.core.fields.", "fiftyone.core.labels."
_TEXT, _NUMBER, _WHOLE = f"{_FIELDS}StringField", f"{_FIELDS}FloatField", f"{_FIELDS}IntField"
_ID, _DATE, _LIST = f"{_FIELDS}ObjectIdField", f"{_FIELDS}DateTimeField", f"{_FIELDS}ListField"
_PART, _ARRAY = f"{_FIELDS}EmbeddedDocumentField", f"{_FIELDS}ArrayField"


@dataclass(frozen=True)
class FiftyOneExport:
    """What was written.

    Attributes:
        num_objects: samples of the data set.
        num_thumbnails: of them those whose image is the run's small picture, as their own is gone.
    """

    num_objects: int
    num_thumbnails: int


def write_fiftyone(run: str | Path, out: Path) -> FiftyOneExport:
    """Writes a data set of FiftyOne with one sample for each object of a run.

    A sample has `key`, `sample`, `object` (a Classification: the class), `instance`, the figures of
    the report by their names, `notes` and `summary`; `target` and the regions as Segmentations, and
    `saliency_map` as a Heatmap, whose 0 is also where nothing is known. A volume is there as the
    axial slice with most of the target, whose number is `slice_index`. Samples whose image is a
    thumbnail have the tag `thumbnail`. Objects that failed are left out.

    Args:
        run: the run folder.
        out: an existing folder.

    Raises:
        RunFolderError: no run, or a file of it is missing or damaged.
        InputError: no object is done.
    """
    folder = RunFolder(run)
    images, schema = RunImages(folder), _Schema()
    names, files = DistinctNames(), _Files(out)
    samples, num_thumbnails = [], 0
    for record in folder.each_record():
        if not isinstance(record, DoneObject):
            continue
        name = names(readable_name(*_parts(record)))
        sample = _sample(folder, record, images, files, name)
        num_thumbnails += "thumbnail" in sample["tags"]
        schema.add(sample)
        samples.append(sample)
    if not samples:
        raise InputError(f"expected a run with objects that are done, {run} has none.")
    _write(out / "metadata.json", schema.metadata(f"misure-{readable_name(Path(str(run)).name)}"))
    _write(out / "samples.json", {"samples": samples})
    return FiftyOneExport(len(samples), num_thumbnails)


def _sample(
    folder: RunFolder, record: DoneObject, images: RunImages, files: "_Files", name: str
) -> dict[str, Any]:
    tensors = folder.read_map(record.map)
    target = tensors["target"]
    answers = answered_regions(folder, record, target.shape)
    place = _Place.of(target, record.viewing_order or AS_STORED)
    image = images.of(record, tuple(target.shape))
    identity = hashlib.sha256(record.key.encode("utf-8", "surrogateescape")).hexdigest()
    sample: dict[str, Any] = {
        "_id": {"$oid": identity[:24]},
        "_rand": int(identity[:12], 16) / 16**12,
        "_media_type": "image",
        "filepath": files.image(record, place, image, name),
        "tags": ["thumbnail"] if image.is_thumbnail else [],
        "created_at": _TIME,
        "last_modified_at": _TIME,
        "key": record.key,
        "sample": record.sample,
        "object": _label("Classification", record, "object", label=record.class_name),
    }
    if record.target.score is not None:
        sample["object"]["confidence"] = record.target.score
    if record.instance is not None:
        sample["instance"] = record.instance
    if place.number is not None:
        sample["slice_index"] = place.number
    figures = figures_of(record, None, None)
    sample |= {_NO_NAME.sub("_", name): float(value) for name, value in figures.items()}
    sample["notes"] = notes_of(record)
    if isinstance(record, ExplainedObject) and record.summary:
        sample["summary"] = " ".join(record.summary)
    regions = {region: tensors[region] for region in _REGIONS if region in tensors}
    regions |= {f"{question}_region": region for question, region in answers.items()}
    for region, inside in regions.items():
        path = files.picture(region, name, _mask(place.take(inside)))
        sample[region] = _label("Segmentation", record, region, mask_path=path)
    path = files.picture(_MAP, name, _levels(tensors[_MAP], place))
    sample[_MAP] = _label("Heatmap", record, _MAP, map_path=path, range=[0.0, float(_TOP)])
    return sample


def _parts(record: DoneObject) -> list[str]:
    parts = [stem_of(record.sample), record.class_name or str(record.class_index)]
    return parts if record.instance is None else [*parts, str(record.instance + 1)]


def _label(kind: str, record: DoneObject, name: str, **values: Any) -> dict[str, Any]:
    """A label of FiftyOne with an identity of its own."""
    text = f"{record.key} {name}".encode("utf-8", "surrogateescape")
    identity = hashlib.sha256(text).hexdigest()[:24]
    return {"_id": {"$oid": identity}, "_cls": kind, "tags": [], **values}


@dataclass(frozen=True)
class _Place:
    """The plane of an image that is shown: all of it, or an axial slice."""

    order: ViewingOrder
    number: int | None

    @classmethod
    def of(cls, target: Tensor, order: ViewingOrder) -> "_Place":
        if target.ndim == 2:
            return cls(order, None)
        return cls(order, int(lay_out(target, order).flatten(1).sum(1).argmax()))

    def take(self, tensor: Tensor) -> Tensor:
        """The plane (..., H, W) of (..., *spatial)."""
        return (
            tensor if self.number is None else lay_out(tensor, self.order)[..., self.number, :, :]
        )


class _Files:
    """The pictures of a data set, each written once; what they give is a path relative to it."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._of_sample: dict[str, str] = {}

    def image(self, record: DoneObject, place: _Place, image: RunImage, name: str) -> str:
        """Writes the image of an object; flat ones are shared by all objects of a sample."""
        if place.number is None and record.sample in self._of_sample:
            return self._of_sample[record.sample]
        plane = image.pixels if image.is_thumbnail else place.take(image.pixels)
        low, high = (0.0, 1.0) if image.is_thumbnail else grey_range(image.pixels)
        pixels = in_bytes(as_colours(plane.float().cpu(), low, high))
        path = self._path("data", f"{name}.jpg")
        Image.fromarray(pixels).save(self._out / path, quality=_QUALITY)
        self._of_sample[record.sample] = path
        return path

    def picture(self, kind: str, name: str, pixels: np.ndarray) -> str:
        """Writes a mask or a map."""
        path = self._path(f"fields/{kind}", f"{name}.png")
        Image.fromarray(pixels).save(self._out / path)
        return path

    def _path(self, folder: str, name: str) -> str:
        (self._out / folder).mkdir(parents=True, exist_ok=True)
        return f"{folder}/{name}"


def _mask(region: Tensor) -> np.ndarray:
    pixels: np.ndarray = region.numpy().astype(np.uint8) * _SHOWN
    return pixels


def _levels(saliency_map: Tensor, place: _Place) -> np.ndarray:
    """The plane of a map as bytes, the largest of all its values 255."""
    known = torch.nan_to_num(saliency_map.float(), nan=0.0).clamp(min=0)
    shares = place.take(known) / max(float(known.max()), 1e-30)
    pixels: np.ndarray = (_TOP * shares).round().numpy().astype(np.uint8)
    return pixels


@dataclass
class _Schema:
    """The fields of all samples, as they are met."""

    kinds: dict[str, str] = field(default_factory=dict)

    def add(self, sample: Mapping[str, Any]) -> None:
        for name, value in sample.items():
            if isinstance(value, dict):
                self.kinds.setdefault(name, value.get("_cls", "date"))
            else:
                self.kinds.setdefault(name, type(value).__name__)

    def metadata(self, name: str) -> dict[str, Any]:
        """`metadata.json`."""
        masks = {name: {str(_SHOWN): name} for name, kind in self.kinds.items()
                 if kind == "Segmentation"}  # fmt: skip
        own = [name for name in self.kinds if name not in {one["name"] for one in _base_fields()}]
        return {
            "name": name,
            "slug": name,
            "version": VERSION,
            "created_at": _TIME,
            "media_type": "image",
            "sample_collection_name": "samples",
            "persistent": False,
            "group_media_types": {},
            "tags": [],
            "info": {"made_by": "misure"},
            "app_config": {"media_fields": ["filepath"]},
            "classes": {},
            "default_classes": [],
            "mask_targets": masks,
            "default_mask_targets": {},
            "skeletons": {},
            "sample_fields": [
                *_base_fields(),
                *(self._own(name) for name in own if name[0] != "_"),
            ],
            "frame_fields": [],
            "saved_views": [],
            "workspaces": [],
            "annotation_runs": {},
            "brain_methods": {},
            "evaluations": {},
            "runs": {},
        }

    def _own(self, name: str) -> dict[str, Any]:
        kind, said = self.kinds[name], LABELS.get(name)
        if kind in _PARTS:
            return _described(name, _PART, f"{_LABELS}{kind}", list(_of_label(kind)), said=said)
        types = {"str": _TEXT, "int": _WHOLE, "float": _NUMBER, "list": _LIST}
        subfield = _TEXT if kind == "list" else None
        return _described(name, types[kind], subfield=subfield, said=said)


_PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "Classification": (
        ("label", _TEXT),
        ("confidence", _NUMBER),
        ("logits", f"{_FIELDS}VectorField"),
    ),
    "Segmentation": (("mask", _ARRAY), ("mask_path", _TEXT)),
    "Heatmap": (("map", _ARRAY), ("map_path", _TEXT), ("range", f"{_FIELDS}HeatmapRangeField")),
}
"""Kind of a label -> its fields."""


def _of_label(kind: str) -> Iterator[dict[str, Any]]:
    yield _described("id", _ID, stored_as="_id")
    yield _described("tags", _LIST, subfield=_TEXT)
    for name, type_ in _PARTS[kind]:
        subfield = _NUMBER if name == "range" else None
        yield _described(name, type_, subfield=subfield)


def _base_fields() -> list[dict[str, Any]]:
    """The fields that each data set of FiftyOne has."""
    sizes = [("size_bytes", _WHOLE), ("mime_type", _TEXT), ("width", _WHOLE), ("height", _WHOLE)]
    metadata = [_described(name, kind) for name, kind in [*sizes, ("num_channels", _WHOLE)]]
    return [
        _described("id", _ID, stored_as="_id"),
        _described("filepath", _TEXT),
        _described("tags", _LIST, subfield=_TEXT),
        _described("metadata", _PART, "fiftyone.core.metadata.ImageMetadata", metadata),
        _described("created_at", _DATE),
        _described("last_modified_at", _DATE),
        _described("_media_type", _TEXT),
        _described("_rand", _NUMBER),
        _described("_dataset_id", _ID),
    ]


def _described(
    name: str,
    kind: str,
    document: str | None = None,
    parts: list[dict[str, Any]] | None = None,
    *,
    subfield: str | None = None,
    stored_as: str = "",
    said: str | None = None,
) -> dict[str, Any]:
    """A field as `metadata.json` describes it."""
    return {
        "name": name,
        "ftype": kind,
        "embedded_doc_type": document,
        "subfield": subfield,
        "fields": parts or [],
        "db_field": stored_as or name,
        "description": said,
        "info": None,
        "read_only": kind == _DATE,
        "created_at": _TIME,
    }


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, allow_nan=False), encoding="utf-8")
