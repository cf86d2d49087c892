"""Preparing volumes for a network: turned, resampled, cropped and scaled, and logits brought back.

    image, affine -> parts, each bound to the image -> StepsPreprocessing

A *part* says what to do in words (`Orientation("RAS")`, `Spacing((1, 1, 1))`,
`Intensity("zscore")`). Bound to an image and its affine it becomes a *step*: a differentiable
function of tensors with every number fixed, which also brings logits back to the pixels that it
got. Resampling is that of MONAI's
`Spacingd`, and edges are continued.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from misure._util.optional import require
from misure.errors import InputError
from misure.images.intensity import Scaling, check_rule, scaling_of
from misure.models.binding import Binding
from misure.models.outputs import SMALLEST_PROBABILITY
from misure.models.preprocessing import Placement, Preprocessing

Shape = tuple[int, ...]

_ROUNDING = 1e-8  # voxels by which a corner may miss the place of the first voxel
_STRAIGHT = (
    1e-4  # by how much of a voxel, over the volume, axes may lean before they count as oblique
)


class Step(Protocol):
    """Something that is done to images, with all of its numbers fixed."""

    def shape(self, spatial: Shape) -> Shape:
        """The shape (*spatial) of images after the step."""
        ...

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, *spatial) after the step; differentiable."""
        ...

    def back(self, values: Tensor, spatial: Shape) -> Tensor:
        """Values (N, K, *after) at the pixels (*spatial) before the step; NaN where none are."""
        ...


class Part(Protocol):
    """A step in words.

    A part may also have a method `follow`, (image, affine before it) -> image after it, in place of
    the step, for the parts that come next.
    """

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        """The step for an image (C, *spatial), and the affine after it.

        Raises:
            InputError: it needs an affine and got none, or cannot take such an image.
        """
        ...


@dataclass(frozen=True)
class Turned:
    """Axes in another order, some of them the other way round.

    Attributes:
        axes: for each axis after the step, the one before it.
        flipped: whether it runs the other way.
    """

    axes: Shape
    flipped: tuple[bool, ...]

    def shape(self, spatial: Shape) -> Shape:
        return tuple(spatial[axis] for axis in self.axes)

    def forward(self, images: Tensor) -> Tensor:
        moved = images.permute(0, 1, *(axis + 2 for axis in self.axes))
        return moved.flip(self._flips()).contiguous()

    def back(self, values: Tensor, spatial: Shape) -> Tensor:  # noqa: ARG002
        order = [self.axes.index(axis) + 2 for axis in range(len(self.axes))]
        return values.flip(self._flips()).permute(0, 1, *order)

    def _flips(self) -> list[int]:
        return [axis + 2 for axis, flipped in enumerate(self.flipped) if flipped]


@dataclass(frozen=True)
class Resampled:
    """Linear interpolation on a grid of other voxels; beyond its edges an image is continued.

    Attributes:
        before, after: shapes (*spatial).
        index: (d + 1, d + 1) float64: voxel indices before of voxel indices after.
        nearest: take the nearest voxel of the image instead.
        nearest_back: take the nearest value on the way back.
    """

    before: Shape
    after: Shape
    index: np.ndarray
    nearest: bool = False
    nearest_back: bool = False

    def shape(self, spatial: Shape) -> Shape:  # noqa: ARG002
        return self.after

    def forward(self, images: Tensor) -> Tensor:
        return _sampled(images, self.index, self.after, nearest=self.nearest)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:  # noqa: ARG002
        index = np.linalg.inv(self.index)
        return _sampled(values, index, self.before, nearest=self.nearest_back)


@dataclass(frozen=True)
class Boxed:
    """A box cut out of images; where it leaves them it is padded.

    Attributes:
        start: index of its first voxel; below 0 before the image.
        after: its shape (*spatial).
        mode, value: of padding, see `torch.nn.functional.pad`.
    """

    start: Shape
    after: Shape
    mode: str = "constant"
    value: float = 0.0

    def shape(self, spatial: Shape) -> Shape:  # noqa: ARG002
        return self.after

    def forward(self, images: Tensor) -> Tensor:
        box = zip(self.start, self.after, images.shape[2:], strict=True)
        ends = [(-start, start + side - whole) for start, side, whole in box]
        cut = [end for pair in reversed(ends) for end in (min(0, pair[0]), min(0, pair[1]))]
        added = [end for pair in reversed(ends) for end in (max(0, pair[0]), max(0, pair[1]))]
        inside = F.pad(images, cut)
        if self.mode == "constant" or not any(added):
            return F.pad(inside, added, value=self.value)
        return F.pad(inside, added, mode=self.mode)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:
        box = zip(self.start, self.after, spatial, strict=True)
        widths = [(start, whole - start - side) for start, side, whole in box]
        return F.pad(values, [end for pair in reversed(widths) for end in pair], value=torch.nan)


@dataclass(frozen=True)
class Interpolated:
    """Images resized to a shape, by `torch.nn.functional.interpolate`, whose words these are."""

    after: Shape
    mode: str = "trilinear"
    align_corners: bool | None = None
    nearest_back: bool = False

    def shape(self, spatial: Shape) -> Shape:  # noqa: ARG002
        return self.after

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(images, self.after, mode=self.mode, align_corners=self.align_corners)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:
        mode = "nearest" if self.nearest_back else self.mode
        align = None if self.nearest_back else self.align_corners
        return F.interpolate(values, spatial, mode=mode, align_corners=align)


@dataclass(frozen=True)
class Scaled:
    """Numbers scaled; logits stay as they are."""

    scaling: Scaling

    def shape(self, spatial: Shape) -> Shape:
        return spatial

    def forward(self, images: Tensor) -> Tensor:
        return self.scaling(images)

    def back(self, values: Tensor, spatial: Shape) -> Tensor:  # noqa: ARG002
        return values


@dataclass(frozen=True)
class Orientation:
    """The axes of a volume in the order and directions of a code such as `RAS`."""

    code: str

    def __post_init__(self) -> None:
        letters = self.code if isinstance(self.code, str) else ""
        named = [
            next((i for i, pair in enumerate(("LR", "PA", "IS")) if x in pair), -1) for x in letters
        ]
        if sorted(named) != [0, 1, 2]:
            raise InputError(
                "expected an orientation of three letters, one each of L or R, P or A, I or S, "
                f"such as RAS, got {self.code!r}."
            )

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray]:
        known = needed_affine(image, affine, f"orientation={self.code}")
        directions = require("nibabel.orientations", extra="medical", purpose="orient volumes")
        stored = directions.io_orientation(known)
        if not np.isfinite(stored).all():
            raise InputError(
                "expected an affine that gives each axis a direction, got "
                f"{known.tolist()}. Repair the header."
            )
        turn = directions.ornt_transform(stored, directions.axcodes2ornt(tuple(self.code)))
        goes_to = [int(axis) for axis in turn[:, 0]]
        axes = tuple(goes_to.index(axis) for axis in range(3))
        step = Turned(axes, tuple(bool(turn[axis, 1] < 0) for axis in axes))
        return step, known @ directions.inv_ornt_aff(turn, tuple(image.shape[1:]))


@dataclass(frozen=True)
class Spacing:
    """Voxels with these sides in millimetres, along the axes; 0 or less: an axis stays as it is.

    Attributes:
        mm: one for each axis.
        nearest: take the nearest voxel instead of linear interpolation.
        diagonal: turn the grid to the axes of the body, too.
    """

    mm: tuple[float, ...]
    nearest: bool = False
    diagonal: bool = False

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray]:
        given = ",".join(f"{side:g}" for side in self.mm)
        known = needed_affine(image, affine, f"spacing={given}", planes=True)
        axes = image.ndim - 1
        if len(self.mm) != axes:
            raise InputError(
                f"expected spacing with one length for each of {axes} axes of the image, got "
                f"{given}."
            )
        flat = known if axes == 3 else _of_plane(known)
        linear = flat[:-1, :-1]
        sides = np.linalg.norm(linear, axis=0)
        mm = np.array([new if new > 0 else old for new, old in zip(self.mm, sides, strict=True)])
        upper = np.linalg.cholesky(linear.T @ linear).T
        turned = np.eye(axes) if self.diagonal else linear @ np.linalg.inv(upper)
        new = np.eye(axes + 1)
        new[:-1, :-1] = turned @ np.diag(mm)
        after, new[:-1, -1] = _extent(image.shape[1:], flat, new)
        index = np.linalg.solve(flat, new)
        return Resampled(tuple(image.shape[1:]), after, index, self.nearest), (
            new if axes == 3 else _plane_back(known, new)
        )


@dataclass(frozen=True)
class Intensity:
    """Numbers scaled by an intensity rule (see `misure.images.intensity`), those of the image."""

    rule: str

    def bind(self, image: Tensor, affine: np.ndarray | None) -> tuple[Step, np.ndarray | None]:
        return Scaled(scaling_of(image, self.rule)), affine


@dataclass(frozen=True)
class StepsPreprocessing(Preprocessing):
    """The preprocessing of one image: steps, and what follows them.

    Attributes:
        spatial: shape of the image that the steps were made for.
        steps: in their order.
        after: what happens to the prepared image.
        brings_back: what is interpolated on the way back: `logits`, or `softmax` or `sigmoid` of
            them, as some pipelines do.
        multilabel: whether each class has a sigmoid of its own: then a pixel that no step brings
            logits back to has no class, else it is class 0.
        least_logit: the logit from which on a pixel belongs to a class: of multilabel classes, or
            of the second of two.
    """

    spatial: Shape = ()
    steps: tuple[Step, ...] = ()
    after: Preprocessing = field(default_factory=Preprocessing)
    brings_back: str = "logits"
    multilabel: bool = False
    least_logit: float = 0.0

    @property
    def mean_colour(self) -> tuple[float, ...] | None:
        scalings = [step.scaling for step in self.steps if isinstance(step, Scaled)]
        if not scalings:
            return self.after.mean
        colour = self.after.mean or (0.0,)
        for scaling in reversed(scalings):
            colour = scaling.undone(colour)
        return colour

    def placement(self, spatial: Sequence[int]) -> Placement:
        return self.after.placement(self._shapes(spatial)[-1])

    def to_input(self, images: Tensor) -> Tensor:
        self._shapes(images.shape[2:])
        for step in self.steps:
            images = step.forward(images)
        return self.after.to_input(images)

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        shapes = self._shapes(spatial)
        values = self.after.to_image(logits, shapes[-1])
        values = self._brought_back(values, shapes)
        return values if not self.least_logit else self._from_least(values)

    def _from_least(self, logits: Tensor) -> Tensor:
        """Logits whose threshold is 0."""
        if self.multilabel:
            return logits - self.least_logit
        half = logits.new_tensor([self.least_logit / 2, -self.least_logit / 2])
        return logits + half.view(-1, *[1] * (logits.ndim - 2))

    def _brought_back(self, values: Tensor, shapes: list[Shape]) -> Tensor:
        if len(shapes) > 1 and self.brings_back != "logits":
            values = values.softmax(1) if self.brings_back == "softmax" else values.sigmoid()
        for step, before in zip(reversed(self.steps), reversed(shapes[:-1]), strict=True):
            values = step.back(values, before)
            if self.brings_back != "logits" and isinstance(step, Boxed):
                values = values.nan_to_num(0)
        if len(shapes) > 1 and self.brings_back == "sigmoid":
            return values.logit(SMALLEST_PROBABILITY)
        if len(shapes) > 1 and self.brings_back == "softmax":
            is_outside = values.sum(1, keepdim=True) < _NOTHING
            values = values.clamp(min=SMALLEST_PROBABILITY).log()
            values = values.masked_fill(is_outside, torch.nan)
        return self._filled(values)

    def _filled(self, logits: Tensor) -> Tensor:
        """The logits with those of background where no step brought any."""
        is_outside = logits.isnan()
        if not bool(is_outside.any()):
            return logits
        fill = torch.full((1, logits.shape[1], *[1] * (logits.ndim - 2)), _NO_CLASS)
        if not self.multilabel:
            fill[:, 0] = -_NO_CLASS
        return torch.where(is_outside, fill.to(logits), logits)

    def _shapes(self, spatial: Sequence[int]) -> list[Shape]:
        if tuple(spatial) != self.spatial:
            raise InputError(
                f"expected images of the shape {self.spatial} that the network was bound to, got "
                f"{tuple(spatial)}. Bind it to the new image: model.for_image(image, affine)."
            )
        shapes = [self.spatial]
        for step in self.steps:
            shapes.append(step.shape(shapes[-1]))
        return shapes


_NOTHING = 1e-3  # probabilities whose sum is below it were padded
_NO_CLASS = -8.0  # the logit of a class at a pixel that is left out: a probability of 1 / 3000


@dataclass(frozen=True)
class UnboundPreprocessing(Preprocessing):
    """The preprocessing of a model that is not bound to an image: it takes none.

    Attributes:
        words: what depends on the image, in words, for messages.
        takes_planes: whether planes need no binding.
    """

    words: str = ""
    takes_planes: bool = False

    def to_input(self, images: Tensor) -> Tensor:
        if self.takes_planes and images.ndim == 4:
            return super().to_input(images)
        raise InputError(
            f"expected a model bound to its image, since {self.words} depends on the image. Call "
            f"model.for_image(image, affine) first; got images {tuple(images.shape)}."
        )


def bound_preprocessing(
    parts: Sequence[Part],
    image: Tensor,
    affine: "Tensor | np.ndarray | None",
    after: Preprocessing,
    *,
    brings_back: str = "logits",
    nearest: bool = False,
    multilabel: bool = False,
    least_logit: float = 0.0,
) -> StepsPreprocessing:
    """The preprocessing of an image by parts in their order, with its own numbers.

    Args:
        parts: what is done to it.
        image: (C, *spatial) float.
        affine: (4, 4) from voxel indices to millimetres (RAS+); None: not known.
        after, brings_back, multilabel, least_logit: see `StepsPreprocessing`.
        nearest: whether resampled logits come back from the nearest voxel, not linearly.

    Raises:
        InputError: a part needs an affine and got none, or cannot take such an image.
    """
    known = None if affine is None else np.asarray(affine, np.float64)
    steps, seen = list[Step](), image.detach().float()
    for part in parts:
        before = known
        step, known = part.bind(seen, known)
        follow = getattr(part, "follow", None)
        seen = step.forward(seen[None])[0] if follow is None else follow(seen, before)
        if nearest and isinstance(step, (Resampled, Interpolated)):
            step = replace(step, nearest_back=True)
        steps.append(step)
    return StepsPreprocessing(
        **_arguments(after),
        spatial=tuple(image.shape[1:]),
        steps=tuple(steps),
        after=after,
        brings_back=brings_back,
        multilabel=multilabel,
        least_logit=least_logit,
    )


def plain(preprocessing: Preprocessing) -> Preprocessing:
    """The part of a preprocessing that depends on no image: that of its own arguments."""
    return Preprocessing(**_arguments(preprocessing))


def _arguments(preprocessing: Preprocessing) -> dict[str, Any]:
    return {each.name: getattr(preprocessing, each.name) for each in fields(Preprocessing)}


@dataclass(frozen=True)
class Words:
    """Preprocessing in the words of options, in the order in which it happens.

    Attributes:
        orientation: such as `RAS`; empty: as stored.
        spacing: millimetres along the axes after orientation; None: as stored.
        intensity: rule or rules of a volume; empty: none. Planes are scaled when they are read,
            by the numbers of their volume.
    """

    orientation: str = ""
    spacing: tuple[float, ...] | None = None
    intensity: str = ""

    @classmethod
    def of(cls, orientation: Any, spacing: Any, intensity: Any) -> "Words":
        """The words of options, checked.

        Raises:
            InputError: another orientation, spacing or rule.
        """
        rule = check_rule(intensity) if intensity else ""
        code = str(orientation).upper() if orientation else ""
        if code:
            Orientation(code)
        return cls(code, None if spacing is None else checked_spacing(spacing), rule)

    def parts(self, num_axes: int) -> list[Part]:
        """The parts for images of 2 or 3 axes (*spatial)."""
        parts: list[Part] = [Orientation(self.orientation)] if self.orientation else []
        parts += [Spacing(self.spacing)] if self.spacing else []
        return parts + ([Intensity(self.intensity)] if self.intensity and num_axes == 3 else [])

    @property
    def text(self) -> str:
        """The words, as options have them."""
        given = (
            f"orientation={self.orientation}" if self.orientation else "",
            f"spacing={','.join(f'{side:g}' for side in self.spacing)}" if self.spacing else "",
            f"intensity={self.intensity}" if self.intensity else "",
        )
        return ", ".join(filter(None, given))

    def settings(self) -> dict[str, Any]:
        """The words as plain values, by the names of the options."""
        spacing = None if self.spacing is None else list(self.spacing)
        return {
            "intensity": self.intensity,
            "spacing": spacing,
            "orientation": self.orientation,
        }

    def unbound(self, preprocessing: Preprocessing, binder: object) -> UnboundPreprocessing:
        """The preprocessing of a model that is used with these words, before it is bound.

        Raises:
            InputError: the network comes with a preparation of its own.
        """
        if binder is not None or type(preprocessing) is not Preprocessing:
            raise InputError(
                f"expected no {self.text} for a network that comes with its own preparation of "
                "images. Leave it out."
            )
        takes_planes = not self.spacing and not self.orientation
        words = _arguments(preprocessing)
        return UnboundPreprocessing(**words, words=self.text, takes_planes=takes_planes)

    def bind(self, model: Any, image: Tensor, affine: Tensor | None) -> Binding:
        """The binding that prepares an image so; the model's own preprocessing follows."""
        parts, after = self.parts(image.ndim - 1), plain(model.preprocessing)
        made = bound_preprocessing(parts, image, affine, after, multilabel=model.multilabel)
        return Binding(preprocessing=made if parts else after)


def checked_spacing(spacing: Any) -> tuple[float, ...]:
    """Two or three positive lengths in millimetres, of numbers or of text with commas.

    Raises:
        InputError: anything else.
    """
    try:
        each = spacing.split(",") if isinstance(spacing, str) else spacing
        lengths = tuple(float(side) for side in each)
    except (TypeError, ValueError):
        lengths = ()
    if len(lengths) not in (2, 3) or not all(0 < side < np.inf for side in lengths):
        raise InputError(
            "expected spacing as a positive length in millimetres for each axis, such as 1,1,1, "
            f"got {spacing!r}."
        )
    return lengths


def needed_affine(
    image: Tensor, affine: np.ndarray | None, what: str, *, planes: bool = False
) -> np.ndarray:
    """The affine, if it is there and the image is a volume.

    Args:
        image: (C, *spatial).
        affine: (4, 4), or None.
        what: what needs it, for messages.
        planes: whether an axial slice will do.

    Raises:
        InputError: none, another shape, not invertible, or an image of another dimension.
    """
    if image.ndim != 4 and not (planes and image.ndim == 3):
        raise InputError(
            f"expected a volume (C, I, J, K) for {what}, got an image {tuple(image.shape)}. Leave "
            "it out for planes."
        )
    if affine is None:
        raise InputError(
            f"expected the affine of the image for {what}, got none. Give a NIfTI file, or "
            "affine=..., (4, 4) from voxel indices to millimetres (RAS+), to segment or "
            "model.for_image."
        )
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not _is_regular(affine):
        raise InputError(
            f"expected an invertible affine (4, 4) for {what}, got {affine.tolist()}. Repair the "
            "header."
        )
    return affine


def _is_regular(affine: np.ndarray) -> bool:
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    return bool((sides > 0).all()) and abs(np.linalg.det(affine[:3, :3] / sides)) > 1e-6


def _of_plane(affine: np.ndarray) -> np.ndarray:
    """The affine (3, 3) of a slice in its plane, from that (4, 4) of (1, rows, columns)."""
    rows, columns = affine[:3, 1], affine[:3, 2]
    side = np.linalg.norm(rows)
    lean = columns @ rows / side
    flat = np.eye(3)
    flat[:2, :2] = [[side, lean], [0, np.sqrt(max(0.0, columns @ columns - lean**2))]]
    return flat


def _plane_back(affine: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """The affine (4, 4) of a slice whose affine within its plane has become `plane`."""
    index = np.linalg.solve(_of_plane(affine), plane)
    step = np.eye(4)
    step[1:, 1:] = index
    moved: np.ndarray = affine @ step
    return moved


def _extent(
    spatial: Sequence[int], before: np.ndarray, after: np.ndarray
) -> tuple[Shape, np.ndarray]:
    """The shape of a grid `after` over an image, and where its first voxel lies, as MONAI has it.

    It lies on a corner of the image; if rounding in the affine leaves none, the centres coincide.
    """
    axes = len(spatial)
    corners = np.stack(np.meshgrid(*[(0.0, side - 1.0) for side in spatial], indexing="ij"))
    ends = np.concatenate([corners.reshape(axes, -1), np.ones((1, 2**axes))])
    there = (np.linalg.solve(after, before) @ ends)[:-1]
    shape = tuple(int(side) for side in np.round(np.ptp(there, axis=1) + 1.0))
    lowest = there.min(1, keepdims=True)
    first = np.flatnonzero(np.abs(there - lowest).max(0) <= _ROUNDING)
    if len(first):
        return shape, (before @ ends)[:-1, first[0]]
    middle = before[:-1, :-1] @ (np.array(spatial) / 2.0) + before[:-1, -1]
    return shape, middle - after[:-1, :-1] @ (np.array(shape) / 2.0)


def _sampled(images: Tensor, index: np.ndarray, after: Shape, *, nearest: bool = False) -> Tensor:
    """Images (N, C, *spatial) at indices that are an affine function of those of (*after)."""
    linear, offset = index[:-1, :-1], index[:-1, -1]
    lean = np.abs(linear - np.diag(np.diag(linear))) @ np.array(after)
    if (lean > _STRAIGHT * np.array(images.shape[2:])).any():
        return _sampled_obliquely(images, index, after, nearest=nearest)
    for axis, side in enumerate(after):
        old = images.shape[axis + 2]
        at = (np.arange(side) * linear[axis, axis] + offset[axis]).clip(0, old - 1)
        if side == old and np.abs(at - np.arange(side)).max() < _STRAIGHT:
            continue
        images = _along(images, axis + 2, np.round(at) if nearest else at)
    return images


def _along(images: Tensor, axis: int, at: np.ndarray) -> Tensor:
    """Images at the fractional indices `at` of an axis, linearly interpolated."""
    floor = np.floor(at).astype(np.int64)
    low = torch.from_numpy(floor).to(images.device)
    high = torch.from_numpy(np.minimum(floor + 1, images.shape[axis] - 1)).to(images.device)
    share = torch.from_numpy(at - floor).to(images)
    share = share.view(-1, *[1] * (images.ndim - 1 - axis))
    first = images.index_select(axis, low)
    return first if not bool(share.any()) else first.lerp(images.index_select(axis, high), share)


def _sampled_obliquely(images: Tensor, index: np.ndarray, after: Shape, *, nearest: bool) -> Tensor:
    """As `_sampled`, for axes that lean: by `grid_sample`."""
    ranges = [torch.arange(side, dtype=torch.float64) for side in after]
    grid = torch.stack([*torch.meshgrid(*ranges, indexing="ij")], dim=-1)
    at = grid @ torch.from_numpy(index[:-1, :-1].T.copy()) + torch.from_numpy(index[:-1, -1].copy())
    sides = torch.tensor(images.shape[2:], dtype=torch.float64)
    normalised = ((2 * at + 1) / sides - 1).flip(-1).to(images)
    return F.grid_sample(
        images,
        normalised[None].expand(len(images), *normalised.shape),
        mode="nearest" if nearest else "bilinear",
        padding_mode="border",
        align_corners=False,
    )
