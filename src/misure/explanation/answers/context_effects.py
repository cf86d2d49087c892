"""Context effects: what happens to a target when a part of its surroundings is hidden.

Each other class and object that the model draws, and each superpixel of the background, is hidden
in turn while all else is shown, and the target's Dice is measured. A large hidden region may do
harm wherever it lies, so each part has a chance control: the same form is hidden elsewhere, where
it touches neither the target nor the part, and about as far from the target where it can be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from misure._util.progress import OnStep, shown_progress
from misure.errors import InputError, entrance
from misure.explanation.answers.effects import ContextEffect, ContextEffects
from misure.explanation.answers.elsewhere import elsewhere
from misure.explanation.answers.intervention import Hiding, check_fits, hide_each
from misure.explanation.answers.surroundings import surroundings_of
from misure.explanation.presentation import make_presentations
from misure.images.regions import distance_px
from misure.images.spacing import check_spacing, in_mm, sampling_of
from misure.models.device import to_device
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation, segment_again
from misure.models.target import Target


@dataclass(frozen=True, kw_only=True)
class EffectSettings:
    """How context effects are measured; see `context_effects`.

    Attributes:
        least_controls: controls of each part for which there are rather fewer superpixels.
    """

    num_superpixels: int = 24
    num_controls: int = 3
    least_controls: int = 0
    min_area: float = 0.001
    baseline_image: str | Tensor = "mean"
    edge_px: int = 0
    seed: int = 0
    spacing_mm: Sequence[float] | None = None
    max_passes: int | None = None

    def __post_init__(self) -> None:
        counts = {"num_superpixels": self.num_superpixels, "num_controls": self.num_controls}
        for name, number in counts.items():
            if number < 0:
                raise InputError(f"expected {name} of 0 or more, got {number}.")
        if not 0 <= self.min_area <= 1:
            raise InputError(f"expected min_area in [0, 1], got {self.min_area}.")

    def num_shown(self, num_ways: int) -> int | None:
        """Regions that the budget allows to be hidden, each in several ways; None: any number."""
        return None if self.max_passes is None else max(0, self.max_passes - 1) // num_ways

    def max_parts(self, num_ways: int) -> int | None:
        """Parts beyond which there are no superpixels; None: any number."""
        allowed = self.num_shown(num_ways)
        return None if allowed is None else allowed // (1 + self.least_controls)

    def controls_each(self, num_parts: int, num_ways: int) -> int:
        """Controls that the budget allows for each part.

        Raises:
            InputError: it does not even allow to hide each part.
        """
        allowed = self.num_shown(num_ways)
        if allowed is None or not num_parts:
            return self.num_controls
        if num_parts > allowed:
            raise InputError(
                f"expected max_passes of at least {1 + num_parts * num_ways}, got "
                f"{self.max_passes}: each class and object is hidden. Or raise min_area."
            )
        return min(self.num_controls, allowed // num_parts - 1)


@entrance("context_effects")
def context_effects(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    num_superpixels: int = 24,
    num_controls: int = 3,
    min_area: float = 0.001,
    baseline_image: str | Tensor = "mean",
    edge_px: int = 0,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    max_passes: int | None = None,
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
) -> ContextEffects:
    """What each part of the surroundings does for a target: it is hidden, and the Dice measured.

    The parts are each other class that the model draws, each of its connected objects if it has
    several, the rest of the target's own class, the background as a whole, and superpixels of it.
    Pixels of the target are never hidden; pixels that it ignores are in no Dice. Takes one forward
    pass for the segmentation, and one for each part and each control.

    Args:
        model: the model, or a torch module that takes images as they are.
        image: (C, *spatial) float, the image that the target was taken from; or what stands for it
            (see `as_image`).
        target: see `explain`; if it is no `Target`, finding it takes a pass that is not counted.
        num_superpixels: of the background, at most; two thirds of them within a quarter of the
            short side around the target. 0: none.
        num_controls: places elsewhere where each part's form is hidden; 0: no controls.
        min_area: share of the image, in [0, 1], that a class or an object must have to be a part;
            smaller ones belong to the superpixels.
        baseline_image: what stands where pixels are hidden (see `make_baseline_image`); with
            several names, such as `mean,blurred`, all figures are means over them.
        edge_px: width of the soft edge, inside what is hidden; 0 is a hard edge.
        seed: of the superpixels, the places of controls, and noise.
        spacing_mm: sides of a pixel or voxel; distances are then measured in space.
        max_passes: forward passes at most, that of the segmentation included; first there are fewer
            controls, then fewer superpixels. None: as many as it takes.
        on_step: called with progress.
        progress: whether a bar is shown (see `explain`).
        class_names: of a torch module (see `explain`).

    Raises:
        InputError: bad arguments, fewer passes than the classes and objects take, or a target of
            another shape than the image.
        ModelError: the network fails.
    """
    settings = EffectSettings(
        num_superpixels=num_superpixels,
        num_controls=num_controls,
        min_area=min_area,
        baseline_image=baseline_image,
        edge_px=edge_px,
        seed=seed,
        spacing_mm=spacing_mm,
        max_passes=max_passes,
    )
    model, pixels, asked = as_asked(model, image, target, class_names=class_names)
    check_fits(pixels, asked)
    with (
        model.counting() as cost,
        model.borrowed(),
        shown_progress(progress, on_step) as told,
    ):
        effects = effects_of(segment_again(model, pixels), pixels, asked, settings, told)
    return replace(effects, cost=cost)


def effects_of(
    segmentation: Segmentation,
    image: Tensor,
    target: Target,
    settings: EffectSettings,
    on_step: OnStep | None = None,
) -> ContextEffects:
    """The context effects of a target, from the segmentation of its image.

    Args:
        segmentation: the model's own, of the image.
        image: (C, *spatial) float.
        target: of the same shape.
        settings: how they are measured.
        on_step: called before each batch.

    Returns:
        The effects; their cost is that of the hidden parts and their controls.
    """
    model, target = target.bound(segmentation.model), target.to("cpu")
    spacing = check_spacing(settings.spacing_mm, image.ndim - 1)
    sampling = sampling_of(spacing)
    dice_shown = target.dice(segmentation.drawn(target).cpu())
    region, distance = target.region.numpy(), distance_px(target.region, sampling).numpy()
    with model.counting() as cost:
        ways = make_presentations(
            model,
            to_device(image, model.device),
            baseline_image=settings.baseline_image,
            edge_px=settings.edge_px,
            seed=settings.seed,
            spacing_mm=spacing,
        )
        parts = surroundings_of(
            segmentation,
            image,
            target,
            num_superpixels=settings.num_superpixels,
            min_area=settings.min_area,
            sampling=sampling,
            seed=settings.seed,
            max_parts=settings.max_parts(len(ways)),
        )
        num_controls = settings.controls_each(len(parts), len(ways))
        controls = [
            elsewhere(part.piece, region, distance, num_controls, [settings.seed, number])
            for number, part in enumerate(parts)
        ]
        pairs = zip(parts, controls, strict=True)
        shown = [piece for part, others in pairs for piece in (part.piece, *others)]
        region_of = [partial(piece.region, target.region.shape) for piece in shown]
        hidings = [Hiding(region, lambda: target) for region in region_of]
        outcomes = iter(hide_each(model, ways, hidings, on_step))
    effects = []
    for part, others in zip(parts, controls, strict=True):
        own, of_controls = next(outcomes), [next(outcomes) for _ in others]
        effect = ContextEffect(
            kind=part.kind,
            name=part.name,
            class_index=part.class_index,
            number=part.number,
            area_fraction=part.piece.num_px / target.region.numel(),
            distance_px=part.piece.least(distance),
            distance_mm=in_mm(part.piece.least(distance), spacing),
            dice=own.dice,
            effect=dice_shown - own.dice,
            share_left=own.share_left,
            added=own.added,
            control_dices=tuple(outcome.dice for outcome in of_controls),
            control_distances_px=tuple(piece.least(distance) for piece in others),
        )
        effects.append((effect, part.piece))
    effects.sort(key=lambda pair: (-pair[0].effect, pair[0].area_fraction))
    return ContextEffects(
        model=model.name,
        target=target,
        effects=tuple(effect for effect, _ in effects),
        num_controls=num_controls,
        dice_shown=dice_shown,
        baseline_image=",".join(way.name for way in ways),
        edge_px=settings.edge_px,
        seed=settings.seed,
        spacing_mm=spacing,
        cost=cost,
        pieces=tuple(piece for _, piece in effects),
    )
