"""Folders of results: all files at once, or none."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from misure._util.records import plain
from misure.explanation.answers.channel_effects import ChannelEffects
from misure.explanation.answers.channel_regions import ChannelRegions
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.leverage import Leverage
from misure.explanation.answers.prompt_sensitivity import PromptSensitivity
from misure.explanation.answers.whole import Answer
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import Presentation
from misure.images.cuts import Lie
from misure.images.nifti_write import write_regions
from misure.images.orientation import AS_STORED, ViewingOrder, in_volume
from misure.images.volume_file import VolumeFile
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.tables import as_csv, as_markdown
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation
from misure.reports.backdrop import lie_of_volume
from misure.reports.by_channel_picture import save_by_channel_picture
from misure.reports.canvas import PICTURE_KINDS
from misure.reports.channels_picture import save_channels_picture
from misure.reports.comparison_picture import save_comparison_picture
from misure.reports.explanation_picture import PANEL_FILES, PictureOptions, save_pictures
from misure.reports.hidden_picture import save_hidden_picture
from misure.reports.label_maps import write_region_labels
from misure.reports.leverage_picture import save_leverage_picture
from misure.reports.prompt_picture import save_prompt_picture

_USUAL = PictureOptions()

RESULT_FILES = ("explanation.json", "explanation.npz", *PANEL_FILES, "by_channel.png")
HIDDEN_QUESTIONS = ("necessary", "surroundings", "blocking")
ANSWER_FILES = (
    "answer.json",
    "stability.json",
    *(f"prompt.{ending}" for ending in ("json", "npz", *PICTURE_KINDS)),
    *(f"leverage.{ending}" for ending in ("json", "npz", *PICTURE_KINDS, "nii.gz")),
    *(f"channels.{ending}" for ending in ("json", *PICTURE_KINDS)),
    *(f"channel_regions.{ending}" for ending in ("json", "npz", "nii.gz")),
    *(
        f"{name}.{ending}"
        for name in HIDDEN_QUESTIONS
        for ending in ("json", "npz", *PICTURE_KINDS)
    ),
    *(f"{name}_region.nii.gz" for name in HIDDEN_QUESTIONS),
)
COMPARISON_FILES = tuple(f"comparison.{ending}" for ending in ("json", "csv", "md", *PICTURE_KINDS))


def save_result(
    explanation: Explanation,
    presentation: Presentation,
    segmentation: Segmentation,
    folder: Path,
    *,
    order: ViewingOrder = AS_STORED,
    volume: VolumeFile | None = None,
    pictures: PictureOptions = _USUAL,
) -> None:
    """Writes `explanation.json`, `explanation.npz`, and the pictures (see `save_pictures`).

    With regions by channel it also writes `by_channel.png`, a panel for each channel.

    For a volume it also writes `target.nii.gz`, `sufficient_region.nii.gz`,
    `minimally_sufficient_region.nii.gz` and `saliency_map.nii.gz`, to lay over it; the map is NaN
    where nothing is known. `labels.nii.gz` holds all regions as one label map (see
    `region_labels`), `labels.ctbl` and `labels.txt` name its numbers in 3D Slicer and ITK-SNAP.
    Regions by channel are (I, J, K, C), in files of their names.

    Args:
        explanation: what to write.
        presentation: the image, and how its regions are shown.
        segmentation: of the image by the model.
        folder: an existing folder.
        order: how to lay out a volume in the pictures.
        volume: from which the image, or the slice, is; None for other images.
        pictures: which pictures, and how they are written.
    """
    text = json.dumps(explanation.record(), indent=2) + "\n"
    (folder / "explanation.json").write_text(text)
    explanation.save(folder / "explanation.npz")
    if volume is not None:
        _save_volumes(explanation, volume, folder)
    values = explanation.values
    lie = lie_of(order, volume, len(values.shape), values.spacing_mm)
    save_pictures(explanation, presentation, segmentation, folder, lie=lie, options=pictures)
    save_by_channel_picture(explanation, presentation.image, folder / "by_channel.png", order=order)


def lie_of(
    order: ViewingOrder,
    volume: VolumeFile | None,
    num_axes: int,
    sides_mm: Sequence[float] | None,
) -> Lie:
    """How an image lies: as its volume says, or as it is laid out."""
    if volume is not None:
        return lie_of_volume(volume, num_axes)
    sides = None if sides_mm is None else tuple(sides_mm)
    return Lie(order, num_axes == 3 and order != AS_STORED, sides)


def _save_volumes(explanation: Explanation, volume: VolumeFile, folder: Path) -> None:
    tensors = {
        name: tensor.cpu() for name, tensor in explanation.tensors().items() if name != "ignored"
    }
    by_channel = explanation.tensors_by_channel()
    if explanation.values.slice_index is not None:
        shape, number = volume.shape[:3], explanation.values.slice_index

        def placed(plane: Tensor) -> Tensor:
            return in_volume(plane, number, shape, volume.order)

        tensors = {name: placed(plane) for name, plane in tensors.items()}
        by_channel = {
            name: torch.stack([placed(plane) for plane in planes])
            for name, planes in by_channel.items()
        }
    write_region_labels(tensors, volume.affine, folder, explanation.target.class_name)
    tensors |= {name: region.cpu().movedim(0, -1) for name, region in by_channel.items()}
    write_regions(tensors, volume.affine, folder, f"misure: {explanation.target.class_name}")


def save_hidden(
    hidden: HiddenRegion,
    name: str,
    model: SegmentationModel,
    presentation: Presentation,
    folder: Path,
    *,
    order: ViewingOrder = AS_STORED,
    volume: VolumeFile | None = None,
    pictures: PictureOptions = _USUAL,
) -> None:
    """Writes `NAME.json`, `NAME.npz` and a picture; for a volume `NAME_region.nii.gz` too.

    Args:
        hidden: what to write.
        name: `necessary`, `surroundings` or `blocking`.
        model: draws a panel of the picture.
        presentation: the image, and what stands where pixels are hidden.
        folder: an existing folder.
        order: how to lay out a volume in the picture.
        volume: that the image is; None for other images and for slices.
        pictures: how the picture is written.
    """
    text = json.dumps(hidden.record(), indent=2) + "\n"
    (folder / f"{name}.json").write_text(text)
    hidden.save(folder / f"{name}.npz")
    if volume is not None:
        tensors = {f"{name}_region": hidden.region}
        description = f"misure: {hidden.target.class_name}"
        write_regions(tensors, volume.affine, folder, description)
    lie = lie_of(order, volume, len(hidden.values.shape), hidden.values.spacing_mm)
    path = folder / f"{name}.{pictures.kind}"
    save_hidden_picture(hidden, model, presentation, path, lie=lie, dpi=pictures.dpi)


def save_answer(answer: Answer, folder: Path) -> None:
    """Writes `answer.json`: the summary, what each part took, and all values but the explanation's.

    Args:
        answer: what to write.
        folder: an existing folder.
    """
    text = json.dumps(answer.record(), indent=2) + "\n"
    (folder / "answer.json").write_text(text)


def save_leverage(
    leverage: Leverage,
    pixels: Tensor,
    folder: Path,
    *,
    image: str = "",
    order: ViewingOrder = AS_STORED,
    volume: VolumeFile | None = None,
    pictures: PictureOptions = _USUAL,
) -> None:
    """Writes `leverage.json`, `.npz` and a picture; for a volume `leverage.nii.gz` too.

    Args:
        leverage: what to write.
        pixels: (C, *spatial) float, of the image.
        folder: an existing folder.
        image: name of the image.
        order: how to lay out a volume in the picture.
        volume: that the image is; None for other images and for slices.
        pictures: how the picture is written.
    """
    text = json.dumps(plain(leverage.record(image)), indent=2) + "\n"
    (folder / "leverage.json").write_text(text)
    leverage.save(folder / "leverage.npz", image)
    if volume is not None:
        description = f"misure: {leverage.target.class_name}"
        write_regions({"leverage": leverage.map()}, volume.affine, folder, description)
    path = folder / f"leverage.{pictures.kind}"
    save_leverage_picture(leverage, pixels, path, image=image, order=order, dpi=pictures.dpi)


def save_prompt_sensitivity(
    found: PromptSensitivity,
    pixels: Tensor,
    folder: Path,
    *,
    image: str = "",
    pictures: PictureOptions = _USUAL,
) -> None:
    """Writes `prompt.json`, `prompt.npz` (`target`, `agreement`) and a picture.

    Args:
        found: what to write.
        pixels: (C, H, W) float, of the image.
        folder: an existing folder.
        image: name of the image.
        pictures: how the picture is written.
    """
    text = json.dumps(plain(found.record(image)), indent=2) + "\n"
    (folder / "prompt.json").write_text(text)
    found.save(folder / "prompt.npz", image)
    path = folder / f"prompt.{pictures.kind}"
    save_prompt_picture(found, pixels, path, image=image, dpi=pictures.dpi)


def save_channels(
    effects: ChannelEffects,
    pixels: Tensor,
    folder: Path,
    *,
    regions: ChannelRegions | None = None,
    image: str = "",
    order: ViewingOrder = AS_STORED,
    volume: VolumeFile | None = None,
    pictures: PictureOptions = _USUAL,
) -> None:
    """Writes `channels.json` and a picture, and regions by channel if there are any.

    These are `channel_regions.json` and `.npz`; for a volume also `channel_regions.nii.gz`
    (I, J, K, C).

    Args:
        effects: what to write.
        pixels: (C, *spatial) float, of the image.
        folder: an existing folder.
        regions: by channel, of the same target; None: not asked for.
        image: name of the image.
        order: how to lay out a volume in the picture.
        volume: that the image is; None for other images and for slices.
        pictures: how the picture is written.
    """
    text = json.dumps(plain(effects.record(image)), indent=2) + "\n"
    (folder / "channels.json").write_text(text)
    if regions is not None:
        text = json.dumps(plain(regions.record(image)), indent=2) + "\n"
        (folder / "channel_regions.json").write_text(text)
        regions.save(folder / "channel_regions.npz", image)
        if volume is not None:
            description = f"misure: {regions.target.class_name}"
            by_voxel = {"channel_regions": regions.region.movedim(0, -1)}
            write_regions(by_voxel, volume.affine, folder, description)
    path = folder / f"channels.{pictures.kind}"
    save_channels_picture(
        effects, pixels, path, regions=regions, image=image, order=order, dpi=pictures.dpi
    )


def save_comparison(
    comparison: Comparison, folder: Path, *, kind: str = "png", dpi: float = 110
) -> None:
    """Writes `comparison.json`, `comparison.csv`, `comparison.md` and a picture.

    Args:
        comparison: what to write.
        folder: an existing folder.
        kind: of the picture, one of PICTURE_KINDS.
        dpi: dots per inch of the picture.
    """
    text = json.dumps(comparison.record(), indent=2, allow_nan=False) + "\n"
    (folder / "comparison.json").write_text(text, encoding="utf-8")
    (folder / "comparison.csv").write_text(as_csv(comparison), encoding="utf-8")
    (folder / "comparison.md").write_text(as_markdown(comparison), encoding="utf-8")
    save_comparison_picture(comparison, folder / f"comparison.{kind}", kind=kind, dpi=dpi)
