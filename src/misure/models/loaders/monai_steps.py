"""MONAI's transforms as parts of a preprocessing: those that are known are followed exactly."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from misure.errors import InputError
from misure.models.loaders.monai_arguments import Given
from misure.models.loaders.monai_boxes import foreground, middle, multiple, widened
from misure.models.loaders.monai_config import Resolver, is_disabled, monai_name
from misure.models.loaders.monai_grids import MonaiSpacing, oriented, resampled, resized
from misure.models.loaders.monai_scaling import (
    Scales,
    normalised,
    percentiles_scaled,
    range_scaled,
    scaled,
)
from misure.models.volumes.spacing import Spacing
from misure.models.volumes.step import Part

TRANSFORMS = ("monai.transforms",)

_NOTHING_TO_DO = (
    "LoadImage",
    "EnsureChannelFirst",
    "AddChannel",
    "AsChannelFirst",
    "EnsureType",
    "ToTensor",
    "CastToType",
    "ToDevice",
)


def parts_of(transforms: Sequence[Any], resolver: Resolver, without: Sequence[str]) -> list[Part]:
    """The parts that stand for transforms of a configuration.

    Args:
        transforms: mappings with `_target_`, as the configuration has them.
        resolver: follows their references.
        without: names of transforms that are left out.

    Raises:
        InputError: a transform, or an argument of one, that is not known.
    """
    image = image_key(transforms)
    parts = []
    for raw in transforms:
        name, shown, keys = base_name(raw), shown_name(raw), _keys(raw)
        is_for_another = bool(keys) and image not in keys  # for labels, say
        if is_for_another or name in _NOTHING_TO_DO or {name, shown} & {*without}:
            continue
        if name not in _KNOWN:
            raise InputError(
                f"expected preprocessing by transforms that are known ({', '.join(_KNOWN)}), got "
                f"{shown}. If the network does without it, say without={shown} (--model-option "
                f"without={shown}); else prepare the images yourself and load the network with "
                "python:."
            )
        place = keys.index(image) if keys else 0
        parts.append(_KNOWN[name](Given(shown, resolver.value(raw), place, len(keys))))
    if not any(isinstance(part, Scales) and part.nonzero for part in parts):
        return parts
    return [
        MonaiSpacing(part.mm, part.nearest, part.diagonal) if isinstance(part, Spacing) else part
        for part in parts
    ]


def transforms_of(raw: Any, resolver: Resolver) -> list[Any]:
    """The transforms of a `Compose`, or of a list of them, as the configuration has them.

    Those that are switched off are left out, and a `Compose` within is unfolded.
    """
    while isinstance(raw, str):
        raw = resolver.value(raw)
    if isinstance(raw, Mapping) and base_name(raw) == "Compose":
        return transforms_of(raw.get("transforms", []), resolver)
    if not isinstance(raw, list):
        raise InputError(
            f"expected a Compose of transforms, or a list of them, got {shown_name(raw)}."
        )
    found: list[Any] = []
    for each in raw:
        transform = resolver.value(each) if isinstance(each, str) else each
        if isinstance(transform, Mapping) and is_disabled(transform):
            continue
        is_nested = base_name(transform) == "Compose"
        found += transforms_of(transform, resolver) if is_nested else [transform]
    return found


def image_key(transforms: Sequence[Any]) -> str:
    """The key of the image in the data: that of the first `LoadImaged`, or `image`."""
    loaded = (_keys(each) for each in transforms if base_name(each) == "LoadImage")
    return next((keys[0] for keys in loaded if keys), "image")


def base_name(transform: Any) -> str | None:
    """The name of a transform of MONAI without the ending of dictionary transforms."""
    name = monai_name(transform, TRANSFORMS)
    if name is None:
        return None
    known = (*_NOTHING_TO_DO, *_KNOWN, *POSTPROCESSING, "Compose")
    endings = ("", "d", "D", "Dict")
    bare = (name.removesuffix(ending) for ending in endings if name.endswith(ending))
    return next((each for each in bare if each in known), name)


POSTPROCESSING = ("Activations", "AsDiscrete", "Invert", "SaveImage")


def shown_name(transform: Any) -> str:
    """The name of a transform as the configuration has it."""
    target = transform.get("_target_") if isinstance(transform, Mapping) else transform
    return str(target).rpartition(".")[2][:100]


def _keys(transform: Any) -> list[str]:
    keys = transform.get("keys", []) if isinstance(transform, Mapping) else []
    return [keys] if isinstance(keys, str) else list(keys)


_KNOWN: dict[str, Callable[[Given], Part]] = {
    "Orientation": oriented,
    "Spacing": resampled,
    "ScaleIntensityRange": range_scaled,
    "ScaleIntensityRangePercentiles": percentiles_scaled,
    "ScaleIntensity": scaled,
    "NormalizeIntensity": normalised,
    "CropForeground": foreground,
    "DivisiblePad": lambda given: widened(given, multiple, "k"),
    "SpatialPad": lambda given: widened(given, lambda _, side: side, "spatial_size"),
    "CenterSpatialCrop": lambda given: middle(given, "roi_size", pads=False),
    "ResizeWithPadOrCrop": lambda given: middle(given, "spatial_size", pads=True),
    "Resize": resized,
}
