"""MONAI's transforms as parts of a preprocessing: those that are known are followed exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.images.intensity import Scaling, mean_and_deviation
from misure.models.loaders.monai_config import Resolver, is_disabled, monai_name
from misure.models.volumes.box import Boxed
from misure.models.volumes.orientation import Orientation
from misure.models.volumes.resized import Interpolated
from misure.models.volumes.scaled import Scaled
from misure.models.volumes.spacing import Spacing
from misure.models.volumes.step import Part, Step

Arguments = Mapping[str, Any]

TRANSFORMS = ("monai.transforms",)

_ROUNDING = 1e-3  # a share of the largest number below which one is the rounding of 0

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


@dataclass(frozen=True)
class Scales:
    """Numbers scaled as one of MONAI's transforms scales them.

    Attributes:
        scaling: the scaling of an image (C, *spatial).
        nonzero: whether it goes by the numbers that are not 0.
    """

    scaling: Callable[[Tensor], Scaling]
    nonzero: bool = False

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        return Scaled(self.scaling(image)), affine


@dataclass(frozen=True)
class MonaiSpacing(Spacing):
    """The spacing before a scaling by what is not 0.

    MONAI's resampling leaves numbers of about 1e-13 where 0 is right beside others, and counts them
    as not 0. So that the same voxels count, it resamples the image itself, once.
    """

    def follow(self, image: Tensor, affine: np.ndarray) -> Tensor:
        data = require("monai.data", extra="monai", purpose="resample the image")
        transforms = require("monai.transforms", extra="monai", purpose="resample the image")
        given = data.MetaTensor(image.cpu(), affine=torch.from_numpy(affine))
        mode = "nearest" if self.nearest else "bilinear"
        made = transforms.Spacing(self.mm, diagonal=self.diagonal, mode=mode)(given)
        seen: Tensor = made.as_tensor()
        return seen.to(image.device)


@dataclass(frozen=True)
class Boxes:
    """A box cut out of an image.

    Attributes:
        box: the first voxel and the shape of the box for an image (C, *spatial).
        mode, value: of padding.
    """

    box: Callable[[Tensor], tuple[Sequence[int], Sequence[int]]]
    mode: str = "constant"
    value: float = 0.0

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        start, after = (tuple(map(int, each)) for each in self.box(image))
        moved = None if affine is None else affine.copy()
        if moved is not None and len(start) == 3:
            moved[:3, 3] = (moved @ [*start, 1])[:3]
        return Boxed(start, after, self.mode, self.value), moved


@dataclass(frozen=True)
class Resizes:
    """An image resized to a fixed shape."""

    after: tuple[int, ...]
    mode: str
    align_corners: bool | None

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        old = image.shape[1:]
        if len(old) != len(self.after):
            raise InputError(
                f"expected an image of {len(self.after)} axes for Resize, got {tuple(old)}."
            )
        after = tuple(n if n > 0 else o for n, o in zip(self.after, old, strict=True))
        moved = affine
        if affine is not None and len(old) == 3:
            ratio = np.array(old) / np.array(after)
            moved = affine @ np.vstack(
                [np.column_stack([np.diag(ratio), (ratio - 1) / 2]), [[0, 0, 0, 1]]]
            )
        return Interpolated(after, self.mode, self.align_corners), moved


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
        parts.append(_KNOWN[name](_Given(shown, resolver.value(raw), place, len(keys))))
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


class _Given:
    """The arguments of one transform.

    Args:
        name: of the transform, as the configuration has it.
        arguments: its mapping.
        place, num: the place of the image among its keys, and their number.
    """

    def __init__(self, name: str, arguments: Arguments, place: int, num: int) -> None:
        self.name, self.arguments, self.place, self.num = name, arguments, place, num

    def __call__(self, key: str, default: Any = None) -> Any:
        return self.arguments.get(key, default)

    def of_key(self, key: str, default: Any = None) -> Any:
        """An argument that may be a list with one entry for each key."""
        value = self(key, default)
        is_each = isinstance(value, list) and self.num and len(value) == self.num
        return value[self.place] if is_each else value

    def number(self, key: str, default: float | None = None) -> float:
        value = self(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.unusable(key, value, "a number")
        return float(value)

    def optional(self, key: str, default: float | None = None) -> float | None:
        return None if self(key, default) is None else self.number(key, default)

    def check(self, **wanted: Any) -> None:
        """Refuses other values of arguments than these, which are also their defaults."""
        for key, value in wanted.items():
            if self.of_key(key, value) not in (value, None):
                raise self.unusable(key, self(key), repr(value))

    def sides(self, key: str, axes: int) -> list[int]:
        """Whole numbers for each axis; one counts for all."""
        value = self(key)
        each = [value] * axes if isinstance(value, int) else value
        if not isinstance(each, list) or len(each) != axes or not all(type(n) is int for n in each):
            raise self.unusable(key, value, f"{axes} whole numbers")
        return each

    def unusable(self, key: str, value: Any, wanted: str) -> InputError:
        return InputError(
            f"expected {key}={wanted} in {self.name} of the bundle, got {str(value)[:100]!r}, "
            f"which is not supported. Leave the step out with without={self.name}, or prepare the "
            "images yourself."
        )


def _orientation(given: _Given) -> Part:
    given.check(as_closest_canonical=False)
    return Orientation("RAS" if given("as_closest_canonical") else str(given("axcodes")))


def _spacing(given: _Given) -> Part:
    given.check(padding_mode="border", scale_extent=False, min_pixdim=None, max_pixdim=None)
    mode = given.of_key("mode", "bilinear")
    if mode not in ("bilinear", "nearest", 1, 0):
        raise given.unusable("mode", mode, "bilinear or nearest")
    pixdim = given("pixdim")
    each = [pixdim] if isinstance(pixdim, (int, float)) else pixdim
    if not isinstance(each, list) or not all(isinstance(side, (int, float)) for side in each):
        raise given.unusable("pixdim", pixdim, "numbers")
    sides = [*map(float, each), *[float(each[-1])] * 3][:3]
    return Spacing(
        tuple(sides), nearest=mode in ("nearest", 0), diagonal=bool(given("diagonal", False))
    )


def _linear(
    low: float, high: float, ends: tuple[float | None, float | None]
) -> tuple[float, float]:
    """Shift and scale that take low to the first end and high to the second."""
    first, last = ends
    scale = 1 / (high - low)
    if first is None or last is None:
        return low, scale
    if first == last:
        raise InputError(f"expected b_min below b_max in the bundle, got {first:g} and {last:g}.")
    scale *= last - first
    return low - first / scale, scale


def _range(given: _Given) -> Part:
    low, high = given.number("a_min"), given.number("a_max")
    ends = given.optional("b_min"), given.optional("b_max")
    if low >= high:
        raise given.unusable("a_min", low, "a number below a_max")
    shift, scale = _linear(low, high, ends)
    scaling = Scaling((shift,), (scale,), (_clip(given, ends),))
    return Scales(lambda _: scaling)


def _clip(given: _Given, ends: tuple[float | None, float | None]) -> tuple[float, float] | None:
    if not given("clip", False) or ends == (None, None):
        return None
    low, high = ends
    return (-np.inf if low is None else low), (np.inf if high is None else high)


def _each_channel(image: Tensor, by_channel: bool) -> list[Tensor]:
    return list(image) if by_channel else [image]


def _percentiles(given: _Given) -> Part:
    lower, upper = given.number("lower"), given.number("upper")
    ends: tuple[float | None, float | None] = given.optional("b_min"), given.optional("b_max")
    if given("relative", False) and None not in ends:
        first, last = given.number("b_min"), given.number("b_max")
        ends = (first + (last - first) * lower / 100, first + (last - first) * upper / 100)
    by_channel, clip = bool(given("channel_wise", False)), _clip(given, ends)

    def scaling(image: Tensor) -> Scaling:
        pairs = []
        for numbers in _each_channel(image, by_channel):
            low, high = np.percentile(numbers.cpu().numpy(), [lower, upper]).tolist()
            pairs.append(_linear(low, max(high, low + 1e-6), ends))
        shifts, scales = zip(*pairs, strict=True)
        return Scaling(shifts, scales, (clip,))

    return Scales(scaling)


def _scale(given: _Given) -> Part:
    ends = given.optional("minv", 0.0), given.optional("maxv", 1.0)
    by_channel, factor = bool(given("channel_wise", False)), given.optional("factor")

    def scaling(image: Tensor) -> Scaling:
        if ends == (None, None):
            return Scaling((0.0,), (1 + (factor or 0.0),))
        pairs = []
        for numbers in _each_channel(image, by_channel):
            low, high = float(numbers.min()), float(numbers.max())
            if low == high:  # MONAI multiplies by minv
                pairs.append((0.0, 1.0 if ends[0] is None else ends[0]))
                continue
            pairs.append(_linear(low, high, ends))
        shifts, scales = zip(*pairs, strict=True)
        return Scaling(shifts, scales)

    return Scales(scaling)


def _normalize(given: _Given) -> Part:
    by_channel, nonzero = bool(given("channel_wise", False)), bool(given("nonzero", False))
    fixed = [given("subtrahend"), given("divisor")]
    for key, value in zip(("subtrahend", "divisor"), fixed, strict=True):
        each = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(one, (int, float)) for one in each):
            raise given.unusable(key, value, "numbers")
        if isinstance(value, list) and not by_channel:
            raise given.unusable(key, value, "one number, or channel_wise=True")

    def scaling(image: Tensor) -> Scaling:
        shifts, scales = [], []
        for channel, numbers in enumerate(_each_channel(image, by_channel)):
            counted = numbers[numbers != 0] if nonzero else numbers
            mean, std = mean_and_deviation(counted) if counted.numel() else (0.0, 1.0)
            own = [value[channel] if isinstance(value, list) else value for value in fixed]
            shifts.append(mean if own[0] is None else float(own[0]))
            scales.append(1 / (std if own[1] is None else float(own[1]) or 1.0))
        changes = (image != 0) & (image.abs() < _ROUNDING * image.abs().max()) if nonzero else None
        changes = changes if changes is not None and bool(changes.any()) else None
        return Scaling(tuple(shifts), tuple(scales), keeps_zero=(nonzero,), changes_zero=changes)

    return Scales(scaling, nonzero)


def _foreground(given: _Given) -> Part:
    given.check(select_fn=None, channel_indices=None)
    margin, divisor = given("margin", 0), given("k_divisible", 1)
    allow_smaller = bool(given("allow_smaller", False))

    def box(image: Tensor) -> tuple[Sequence[int], Sequence[int]]:
        axes = image.ndim - 1
        margins = margin if isinstance(margin, list) else [margin] * axes
        multiples = divisor if isinstance(divisor, list) else [divisor] * axes
        found = torch.nonzero((image > 0).any(0))
        if not len(found):
            raise InputError(
                "expected an image with numbers above 0 to crop its foreground, got none. Leave "
                f"the step out with without={given.name}."
            )
        starts, sides = [], []
        for axis in range(axes):
            low = int(found[:, axis].min()) - margins[axis]
            high = int(found[:, axis].max()) + margins[axis] + 1
            if allow_smaller:
                low, high = max(low, 0), min(high, image.shape[axis + 1])
            side = _multiple(high - low, multiples[axis])
            starts.append(low - (side - (high - low)) // 2)
            sides.append(side)
        return starts, sides

    return Boxes(box, *_padding(given))


def _multiple(side: int, divisor: int) -> int:
    return -(-side // divisor) * divisor if divisor > 0 else side


def _padding(given: _Given) -> tuple[str, float]:
    mode = given.of_key("mode", "constant")
    if mode not in ("constant", "reflect", "replicate", "edge"):
        raise given.unusable("mode", mode, "constant, reflect or replicate")
    value = given("value", given("constant_values", 0.0))
    return ("replicate" if mode == "edge" else mode), float(value)


def _widened(given: _Given, new_side: Callable[[int, int], int], key: str) -> Part:
    """Padding to at least another side, on both sides or at the end."""
    method = given("method", "symmetric")
    if method not in ("symmetric", "end"):
        raise given.unusable("method", method, "symmetric or end")

    def box(image: Tensor) -> tuple[Sequence[int], Sequence[int]]:
        old = image.shape[1:]
        numbers = given.sides(key, len(old))
        after = [max(side, new_side(side, n)) for side, n in zip(old, numbers, strict=True)]
        is_middle = method == "symmetric"
        starts = [-((n - o) // 2) if is_middle else 0 for n, o in zip(after, old, strict=True)]
        return starts, after

    return Boxes(box, *_padding(given))


def _middle(given: _Given, key: str, *, pads: bool) -> Part:
    """The middle of an image, padded if it is smaller and `pads`."""
    given.check(method="symmetric")

    def box(image: Tensor) -> tuple[Sequence[int], Sequence[int]]:
        old = image.shape[1:]
        wanted = [n if n > 0 else o for n, o in zip(given.sides(key, len(old)), old, strict=True)]
        after = wanted if pads else [min(n, o) for n, o in zip(wanted, old, strict=True)]
        starts = [
            -((n - o) // 2) if n > o else o // 2 - n // 2 for n, o in zip(after, old, strict=True)
        ]
        return starts, after

    return Boxes(box, *_padding(given))


_INTERPOLATION = {"nearest", "nearest-exact", "area", "bilinear", "trilinear"}


def _resize(given: _Given) -> Part:
    given.check(size_mode="all", anti_aliasing=False)
    mode = given.of_key("mode", "area")
    size = given("spatial_size")
    if not isinstance(size, list) or not all(type(side) is int for side in size):
        raise given.unusable("spatial_size", size, "a list of whole numbers")
    mode = (
        {2: "bilinear", 3: "trilinear"}.get(len(size)) if mode in ("bilinear", "linear") else mode
    )
    if mode not in _INTERPOLATION:
        raise given.unusable("mode", mode, " or ".join(sorted(_INTERPOLATION)))
    align = given.of_key("align_corners")
    return Resizes(tuple(size), mode, align if mode in ("bilinear", "trilinear") else None)


_KNOWN: dict[str, Callable[[_Given], Part]] = {
    "Orientation": _orientation,
    "Spacing": _spacing,
    "ScaleIntensityRange": _range,
    "ScaleIntensityRangePercentiles": _percentiles,
    "ScaleIntensity": _scale,
    "NormalizeIntensity": _normalize,
    "CropForeground": _foreground,
    "DivisiblePad": lambda given: _widened(given, _multiple, "k"),
    "SpatialPad": lambda given: _widened(given, lambda _, side: side, "spatial_size"),
    "CenterSpatialCrop": lambda given: _middle(given, "roi_size", pads=False),
    "ResizeWithPadOrCrop": lambda given: _middle(given, "spatial_size", pads=True),
    "Resize": _resize,
}
