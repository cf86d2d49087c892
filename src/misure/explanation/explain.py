"""Explaining: from a model, images and targets to explanations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from misure._util.progress import OnStep, Told, shown_progress
from misure.errors import InputError, entrance
from misure.explanation.explanation import Explanation
from misure.explanation.pipeline import Explainer, OnRegionOf
from misure.explanation.presets import DEFAULT_PRESET, Preset, make_preset
from misure.explanation.probe import OnRegion
from misure.images.spacing import check_spacing
from misure.models.cost import Cost
from misure.models.given_target import AnyTarget, as_asked
from misure.models.inputs import AnyImage, affine_for, are_paths, as_image, as_model, path_of
from misure.models.model import SegmentationModel
from misure.models.target import Target


@entrance("explain")
def explain(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    target: AnyTarget,
    *,
    dice_threshold: float = 0.9,
    preset: str | None = None,
    seed: int = 0,
    other_image: Tensor | None = None,
    other_image_name: str = "tensor",
    spacing_mm: Sequence[float] | None = None,
    other_images: Sequence[Tensor] = (),
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    on_region: OnRegion | None = None,
    **options: Any,
) -> Explanation:
    """The explanation of one target: sufficient region, minimally sufficient region, evidence.

    Each region was shown to the model by itself and reached the threshold. The model comes back as
    it was, also after an exception; the same seed gives the same explanation on a CPU.

    Args:
        model: the model to explain, or a torch module that takes images as they are.
        image: (C, *spatial) float, the image that the target was taken from; or what stands for it
            (see `as_image`): bytes, a picture, a path; a list of paths is one image, each file a
            channel.
        target: what to explain (see `predicted_target`); or a class by name or number, or a mask
            (*spatial) of bool (see `as_target`).
        dice_threshold: Dice from which the target counts as preserved, in (0, 1].
        preset: name of a preset (see `PRESETS`); by default `readable`.
        seed: seed of all noise.
        other_image: (C, *any) float, for the transfer Dice (see `content_controls`); one of another
            size is scaled and cropped. None: the image turned by 180°.
        other_image_name: how the results name it.
        spacing_mm: sides of a pixel or voxel along each axis of the image; distances are then
            measured in space. None: pixels are squares, voxels cubes.
        other_images: each (C, *any) float, among the baseline images of `robust=0.9` (see
            `misure.robustness`).
        on_step: called with progress: what is being done, steps done, steps in all or None.
        progress: whether a bar shows the passes done and the time left, should all that may be made
            be made; None: in a terminal or a notebook, if there is no `on_step`.
        class_names: of the classes of a torch module, in their order; a model has its own.
        on_region: called with `sufficient_region` or `minimally_sufficient_region`, a region
            (*spatial) bool on the CPU and its Dice, each time that a smaller region than before is
            shown and suffices; at the end of each of the two searches with its result. That may be
            a larger one, if the smallest does not hold when it is shown alone or under small
            changes. It takes no pass. What it raises ends the search, and `explain` raises it; the
            model comes back as it was. The same is true of `on_step`.
        options: options of the preset to change, such as `max_passes=200`, `one_minimal=True`,
            `baseline_image="mean,filled"`, `edge_px=8` or, for `paper`, `num_iterations=50`;
            `channels="apart"` adds regions (C, *spatial) with other places in each channel.

    Raises:
        InputError: bad arguments; or a target that the model does not predict even when it sees
            the whole image.
        ModelError: the network fails.
    """
    return explain_all(
        model,
        [image] if are_paths(image) else image,
        [target],
        dice_threshold=dice_threshold,
        preset=preset,
        seed=seed,
        other_image=other_image,
        other_image_name=other_image_name,
        spacing_mm=spacing_mm,
        other_images=other_images,
        on_step=on_step,
        progress=progress,
        class_names=class_names,
        on_region=None if on_region is None else lambda _, *found: on_region(*found),
        **options,
    )[0]


@entrance("explain_all")
def explain_all(
    model: SegmentationModel | nn.Module,
    image: AnyImage | Sequence[AnyImage],
    targets: Sequence[AnyTarget],
    *,
    dice_threshold: float = 0.9,
    preset: str | None = None,
    seed: int = 0,
    other_image: Tensor | None = None,
    other_image_name: str = "tensor",
    spacing_mm: Sequence[float] | None = None,
    other_images: Sequence[Tensor] = (),
    on_step: OnStep | None = None,
    progress: bool | None = None,
    class_names: str | Sequence[str] = (),
    on_region: OnRegionOf | None = None,
    **options: Any,
) -> list[Explanation]:
    """The explanation of each of several targets, worked on in common batches.

    The results are those of `explain` one by one; it documents the other arguments and the errors.
    A cost counts the passes made for its own target; the seconds of the call are shared out in
    proportion.

    Args:
        model: the model to explain.
        image: one image for all targets, or a list of one for each (of paths too; an image whose
            channels are several files is a list in it); those of one shape share batches.
        targets: what to explain.
        on_region: as of `explain`, called with the position of the target in `targets` before the
            other arguments.
    """
    given = as_model(model, class_names)
    with shown_progress(progress, on_step) as told, given.counting() as cost:
        told.wait("reading the image")
        return _explained(
            given,
            image,
            targets,
            told,
            cost,
            dice_threshold=dice_threshold,
            preset=preset,
            seed=seed,
            other_image=other_image,
            other_image_name=other_image_name,
            spacing_mm=spacing_mm,
            other_images=other_images,
            on_region=on_region,
            options=options,
        )


def _explained(
    given: SegmentationModel,
    image: AnyImage | Sequence[AnyImage],
    targets: Sequence[AnyTarget],
    told: Told,
    cost: Cost,
    *,
    dice_threshold: float,
    preset: str | None,
    seed: int,
    other_image: Tensor | None,
    other_image_name: str,
    spacing_mm: Sequence[float] | None,
    other_images: Sequence[Tensor],
    on_region: OnRegionOf | None,
    options: Mapping[str, Any],
) -> list[Explanation]:
    """The explanations of `explain_all`, whose progress is told, and whose passes are counted."""
    make_preset(preset or DEFAULT_PRESET, options)  # what is wrong there needs no pass
    asked = []
    of_image: dict[int, SegmentationModel] = {}  # bound once for all targets of an image
    for (pixels, affine), target in zip(
        _one_for_each(given, image, len(targets)), targets, strict=True
    ):
        is_bound = isinstance(target, Target) and target.binding is not None
        if not is_bound and id(pixels) not in of_image:
            of_image[id(pixels)] = given.for_image(pixels, affine)
        model = given if is_bound else of_image[id(pixels)]
        asked.append(as_asked(model, pixels, target, affine))
    chosen = choose_preset(given, preset, options)
    if chosen.are_apart and any(len(pixels) < 2 for _, pixels, _ in asked):
        raise InputError("expected an image of two channels or more with channels=apart, got one.")
    num_axes = asked[0][1].ndim - 1 if asked else len(spacing_mm or ())
    explainer = Explainer(
        model=given,
        preset=chosen,
        dice_threshold=float(dice_threshold),
        seed=seed,
        other_image=other_image,
        other_image_name=other_image_name,
        spacing_mm=check_spacing(spacing_mm, num_axes),
        on_step=told,
        other_images=other_images,
    )
    most = chosen.about_passes
    told.count(cost, None if most is None else most * len(targets))
    together: dict[Any, list[int]] = {}  # by shape, and by what the model is bound to
    for number, (_, pixels, meant) in enumerate(asked):
        key = pixels.shape, id(meant.binding), meant.channel is None
        together.setdefault(key, []).append(number)
    results: dict[int, Explanation] = {}
    for alike in together.values():
        bound = replace(
            explainer, model=asked[alike[0]][0], on_region=_renumbered(on_region, alike)
        )
        explanations = bound.run([asked[i][1] for i in alike], [asked[i][2] for i in alike])
        results |= dict(zip(alike, explanations, strict=True))
    paths = [path_of(one) for one in _given_images(image, len(targets))]
    return [
        results[i].with_values(image=path) if path else results[i] for i, path in enumerate(paths)
    ]


def _given_images(image: AnyImage | Sequence[AnyImage], num_targets: int) -> list[Any]:
    """What was given as the image of each target."""
    if isinstance(image, Sequence) and not isinstance(image, str):
        return list(image)
    return [image] * num_targets


def _renumbered(on_region: OnRegionOf | None, numbers: Sequence[int]) -> OnRegionOf | None:
    """`on_region` for some of the targets, called with their numbers among all."""
    if on_region is None:
        return None
    return lambda number, *found: on_region(numbers[number], *found)


def _one_for_each(
    model: SegmentationModel, image: AnyImage | Sequence[AnyImage], num_targets: int
) -> list[tuple[Tensor, Tensor | None]]:
    """The image of each target, and its affine; one that is given several times stays one."""
    given = _given_images(image, num_targets)
    if len(given) != num_targets:
        raise InputError(
            f"expected one image for all targets or one for each of {num_targets}, "
            f"got {len(given)}."
        )
    by_id = {
        key: (as_image(each, model), affine_for(model, each))
        for key, each in {id(one): one for one in given}.items()
    }
    return [by_id[id(each)] for each in given]


def choose_preset(
    model: SegmentationModel, preset: str | None, options: Mapping[str, Any]
) -> Preset:
    """The preset that `explain` uses for a model, with some of its options changed.

    Args:
        model: the model to explain.
        preset: name of a preset; None: the default.
        options: options of the preset to change, by name.

    Raises:
        InputError: an unknown preset or option, or a preset that needs gradients with a network
            that gives none.
    """
    chosen = make_preset(preset or DEFAULT_PRESET, options)
    if chosen.reduction.needs_gradients:
        model.check_gradients()
    return chosen
