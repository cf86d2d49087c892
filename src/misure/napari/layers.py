"""Explanations as layers: the image, the target and both regions as labels, the map as an image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.explanation.explanation import Explanation
from misure.images.planes import as_colours, grey_range
from misure.models.segmentation import Segmentation
from misure.napari.placement import Placement
from misure.reports.axes import CLASS_COLOURS, MAP_COLOURS, REGION_COLOUR, TARGET_COLOUR
from misure.reports.canvas import colormaps

LayerData = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: the array, the arguments of the layer, its type."""

MARK = "misure"
"""Name of what a layer's metadata hold of misure."""

_SUFFICIENT_COLOUR = CLASS_COLOURS[1]  # bluish green
_FINE = 150  # pixels of an image's longest side from which an outline is two pixels wide
_MAP_OPACITY, _REGION_OPACITY, _CLASS_OPACITY = 0.6, 0.55, 0.35
_CLEAR = "transparent"


def image_layers(
    image: Tensor, placement: Placement, name: str, channel_names: Sequence[str] = ()
) -> list[LayerData]:
    """The image as one layer; one of several channels, but for three of a flat image, as many.

    Args:
        image: (C, *spatial) float.
        placement: of the image.
        name: of the layer.
        channel_names: C names; empty: channels are numbered.
    """
    about: dict[str, Any] = {"affine": placement.affine, "metadata": {MARK: {"kind": "image"}}}
    if image.ndim == 3 and len(image) == 3:
        shades = torch.from_numpy(as_colours(image, *grey_range(image))).movedim(-1, 0)
        colours = np.moveaxis(placement.as_layer(shades), 0, -1)
        return [(np.ascontiguousarray(colours), {"name": name, "rgb": True, **about}, "image")]
    layers: list[LayerData] = []
    for channel_name, channel in zip(_names_of(channel_names, len(image)), image, strict=True):
        own = name if len(image) == 1 else f"{name}: {channel_name}"
        settings = {
            "name": own,
            "contrast_limits": grey_range(channel[None]),
            "colormap": "gray",
            "visible": not layers,
            **about,
        }
        layers.append((placement.as_layer(channel), settings, "image"))
    return layers


def _names_of(channel_names: Sequence[str], num_channels: int) -> list[str]:
    known = channel_names if len(channel_names) == num_channels else range(num_channels)
    return [f"channel {name}" for name in known]


def explanation_layers(
    explanation: Explanation, placement: Placement, name: str = ""
) -> list[LayerData]:
    """The map, the nested regions, both regions and the target, from the bottom to the top.

    The names are short, as napari's list is narrow: `minimal region` is the minimally sufficient
    one. Of regions by channel there is a layer for each channel, named after it, below these: 1 in
    the minimally sufficient region, 2 in the rest of the sufficient one. In the nested regions 1 is
    the region of the lowest Dice, 2 what the next adds, and so on. What a number means stands in
    napari's status bar. Only the minimal region and the target are seen at first.

    Args:
        explanation: on an image that lies so.
        placement: of the image.
        name: of the object; empty: that of its class.
    """
    class_name = explanation.target.class_name
    has_name = class_name and class_name != str(explanation.target.class_index)
    label = name or (class_name if has_name else f"class {explanation.target.class_index}")
    contour = 2 if max(placement.shape) >= _FINE else 1
    known = torch.nan_to_num(explanation.saliency_map, nan=0.0)
    about = {
        "kind": "explanation",
        "summary": explanation.summary(),
        "key": name,
        "class_name": explanation.target.class_name,
    }
    regions: tuple[tuple[Tensor, str, dict[str, Any]], ...] = (
        (
            explanation.sufficient_region,
            f"{label}: sufficient region",
            {"colour": _SUFFICIENT_COLOUR, "contour": contour, "opacity": 1.0, "visible": False},
        ),
        (
            explanation.minimally_sufficient_region,
            f"{label}: minimal region",
            {"colour": REGION_COLOUR, "opacity": _REGION_OPACITY},
        ),
        (
            explanation.target.region,
            f"{label}: target",
            {"colour": TARGET_COLOUR, "contour": contour, "opacity": 1.0},
        ),
    )
    shown: dict[str, Any] = {"affine": placement.affine, "metadata": {MARK: about}}
    saliency: LayerData = (
        placement.as_layer(explanation.saliency_map.float()),
        {
            "name": f"{label}: saliency map",
            "colormap": MAP_COLOURS,
            "contrast_limits": (0.0, max(1e-9, float(known.max()))),
            "opacity": _MAP_OPACITY,
            "blending": "translucent",
            "visible": False,
            **shown,
        },
        "image",
    )
    return [
        saliency,
        *_layers_by_channel(explanation, placement, label, shown),
        *_nested_layers(explanation, placement, label, shown),
        *(
            labels_layer(placement.as_layer(region), own, **settings, **shown)
            for region, own, settings in regions
        ),
    ]


def _layers_by_channel(
    explanation: Explanation, placement: Placement, label: str, shown: Mapping[str, Any]
) -> list[LayerData]:
    sufficient = explanation.sufficient_region_by_channel
    small = explanation.minimally_sufficient_region_by_channel
    if sufficient is None or small is None:
        return []
    names = _names_of(explanation.values.model_settings.get("channel_names", ()), len(small))
    said = ["minimally sufficient", "rest of the sufficient region"]
    layers = []
    for channel_name, inside, around in zip(names, small, sufficient, strict=True):
        numbers = torch.where(inside, 1, 2 * around).to(torch.uint8)
        layers.append(
            labels_layer(
                placement.as_layer(numbers),
                f"{label}: {channel_name}",
                colour={1: REGION_COLOUR, 2: _SUFFICIENT_COLOUR},
                features={"index": [1, 2], "region": said},
                opacity=_REGION_OPACITY,
                visible=False,
                **shown,
            )
        )
    return layers


def _nested_layers(
    explanation: Explanation, placement: Placement, label: str, shown: Mapping[str, Any]
) -> list[LayerData]:
    curve = explanation.sufficiency_curve
    if not curve:
        return []
    levels = torch.zeros(placement.shape, dtype=torch.uint8)
    for number, point in reversed(list(enumerate(curve, start=1))):
        levels[explanation.nested_region(point.dice_threshold).cpu()] = number
    shades = colormaps[MAP_COLOURS](np.linspace(1, 0, len(curve)))
    return [
        labels_layer(
            placement.as_layer(levels),
            f"{label}: nested regions",
            colour={number: tuple(shade) for number, shade in enumerate(shades, start=1)},
            features={
                "index": list(range(1, len(curve) + 1)),
                "region": [f"Dice {point.dice_threshold:g}" for point in curve],
            },
            opacity=_REGION_OPACITY,
            visible=False,
            **shown,
        )
    ]


def labels_layer(
    region: np.ndarray, name: str, *, colour: str | Mapping[int, Any], **settings: Any
) -> LayerData:
    """A region, or numbers of classes, as labels.

    Args:
        region: bool, or numbers, 0 for none.
        name: of the layer.
        colour: of the region; or number -> colour, a name or (red, green, blue, opacity).
        settings: further arguments of the layer; and `contour`, the width of an outline that is
            drawn in place of the region (see `outline`).
    """
    colours: dict[int | None, Any] = {None: _CLEAR, 0: _CLEAR}
    for number, own in ({1: colour} if isinstance(colour, str) else colour).items():
        colours[number] = own  # noqa: PERF403 - of other keys
    numbers = region.astype(np.uint8) if region.dtype == bool else region
    if width := settings.pop("contour", 0):
        marks = settings["metadata"]
        settings["metadata"] = marks | {MARK: marks[MARK] | {"contour": width}}
    return numbers, {"name": name, "colormap": colours, **settings}, "labels"


def outline(layer: Any) -> None:
    """Draws an added layer as an outline, if it is to be: no argument of a layer says so."""
    if width := layer.metadata.get(MARK, {}).get("contour"):
        layer.contour = width


def add_layers(viewer: Any, layers: Sequence[LayerData]) -> list[Any]:
    """Adds layers to a viewer of napari, and gives them."""
    added = [getattr(viewer, f"add_{kind}")(data, **settings) for data, settings, kind in layers]
    for layer in added:
        outline(layer)
    return added


def segmentation_layer(segmentation: Segmentation, placement: Placement, name: str) -> LayerData:
    """What the network segments: class index + 1 of each pixel, 0 where it finds nothing.

    Where classes overlap, a pixel has the lowest of its classes. The name of the class under the
    mouse stands in napari's status bar.

    Args:
        segmentation: of an image that lies so.
        placement: of the image.
        name: of the layer.
    """
    model, numbers = segmentation.model, segmentation.class_map() + 1
    found = [one.class_index for one in segmentation.found_classes()]
    drawn = [index for index in found if not model.is_background(index)]
    for index in set(found) - set(drawn):
        numbers[numbers == index + 1] = 0
    colours = {
        index + 1: CLASS_COLOURS[place % len(CLASS_COLOURS)] for place, index in enumerate(drawn)
    }
    features = {
        "index": [index + 1 for index in drawn],
        "class": [model.class_name(index) for index in drawn],
    }
    array = placement.as_layer(numbers).astype(np.int32)
    return labels_layer(
        array,
        name,
        colour=colours,
        features=features,
        opacity=_CLASS_OPACITY,
        affine=placement.affine,
        metadata={MARK: {"kind": "segmentation"}},
    )
