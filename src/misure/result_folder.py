"""Folders of results: all files at once, or none."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from misure.comparison import Comparison
from misure.comparison_picture import save_comparison_picture
from misure.comparison_table import as_csv, as_markdown
from misure.errors import InputError
from misure.explanation import Explanation
from misure.image import AS_STORED, ViewingOrder
from misure.nifti_file import read_affine, read_shape
from misure.picture import save_pictures
from misure.presentation import Presentation
from misure.segmentation import Segmentation
from misure.volume_file import in_volume, write_regions


def save_result(
    explanation: Explanation,
    presentation: Presentation,
    segmentation: Segmentation,
    folder: Path,
    *,
    order: ViewingOrder = AS_STORED,
    volume: Path | None = None,
) -> None:
    """Writes `explanation.json`, `explanation.npz`, `overview.png` and the single panels.

    Of a NIfTI file also `target.nii.gz`, `sufficient_region.nii.gz`,
    `minimally_sufficient_region.nii.gz` and `saliency_map.nii.gz`, to lay over it.

    Args:
        explanation: what to write.
        presentation: the image, and how its regions are shown.
        segmentation: what the model draws on the image.
        folder: an existing folder.
        order: how to lay out a volume in the pictures.
        volume: the NIfTI file that the image, or the slice, is of; None: it is of none.
    """
    text = json.dumps(explanation.record(), indent=2) + "\n"
    (folder / "explanation.json").write_text(text)
    explanation.save(folder / "explanation.npz")
    if volume is not None:
        _save_volumes(explanation, volume, order, folder)
    save_pictures(explanation, presentation, segmentation, folder, order=order)


def _save_volumes(
    explanation: Explanation, volume: Path, order: ViewingOrder, folder: Path
) -> None:
    tensors = {name: one.cpu() for name, one in explanation.tensors().items() if name != "ignored"}
    if explanation.slice_index is not None:
        shape, number = read_shape(volume), explanation.slice_index
        tensors = {name: in_volume(one, number, shape, order) for name, one in tensors.items()}
    write_regions(tensors, read_affine(volume), folder, f"misure: {explanation.target.class_name}")


def save_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes `comparison.json`, `comparison.csv`, `comparison.md` and `comparison.png`.

    Args:
        comparison: what to write.
        folder: an existing folder.
    """
    text = json.dumps(comparison.record(), indent=2, allow_nan=False) + "\n"
    (folder / "comparison.json").write_text(text, encoding="utf-8")
    (folder / "comparison.csv").write_text(as_csv(comparison), encoding="utf-8")
    (folder / "comparison.md").write_text(as_markdown(comparison), encoding="utf-8")
    save_comparison_picture(comparison, folder / "comparison.png")


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """A fresh folder to write into; its files move to `folder` when the context ends well.

    A new folder appears at once and complete. In an existing one each file is replaced at once, and
    other files stay. After an exception or an interrupt `folder` is as it was before.

    Raises:
        InputError: nothing can be written there; said at the beginning, before any work is lost.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"writing_folder: expected a folder to write to, {folder} is a file. Name another."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = folder if folder.exists() else folder.parent  # a folder may be a disk of its own
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=place))
        unfinished.chmod(0o777 & ~_umask())
    except OSError as error:
        raise InputError(
            f"writing_folder: expected a folder that can be written to, got {folder}: {error}"
        ) from error
    try:
        yield unfinished
        _move(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move(unfinished: Path, folder: Path) -> None:
    if not folder.exists():
        unfinished.rename(folder)
        return
    for file in sorted(unfinished.rglob("*")):
        place = folder / file.relative_to(unfinished)
        if file.is_dir():
            place.mkdir(exist_ok=True)
        else:
            file.replace(place)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
