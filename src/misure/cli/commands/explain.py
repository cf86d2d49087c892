"""`misure explain`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from misure.cli.commands.chosen_object import ChosenObject, with_object
from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.inputs import check_inputs
from misure.cli.commands.option_values import settings
from misure.cli.commands.options import (
    dice_threshold_option,
    dpi_option,
    force_option,
    image_argument,
    load_model_and_reading,
    out_option,
    picture_kind_option,
    quiet_option,
    seed_option,
    with_model,
    with_search,
)
from misure.cli.terminal import progress, say
from misure.errors import InputError

QUESTIONS = [
    *("sufficient", "necessary", "complete", "surroundings", "blocking", "leverage", "channels"),
    "prompt",
    "all",
]

_FLAGS = (
    *("seed", "dice_threshold", "lost_dice", "drawn_dice", "other_image", "preset", "questions"),
    *(
        "model",
        "image",
        "target",
        "on_step",
        "on_region",
        "outside_target",
        "other_images",
        "other_image_name",
    ),
)


@click.command(cls=FilledCommand)
@image_argument
@with_model()
@with_object
@click.option(
    "--question",
    type=click.Choice(QUESTIONS),
    default="sufficient",
    show_default=True,
    help="What to find: the region that suffices, the one without which the object is lost, one "
    "that is both (complete), the second outside of the object only (surroundings), what stands in "
    "the way of an object that the network missed (blocking), what the rest of the object loses "
    "without each of its parts (leverage), which channels of the image it takes (channels; with "
    "--channels apart also which places in each), how far the mask of a point or a box "
    "depends on where that lies (prompt), or what suffices, is necessary, also around the object, "
    "other reasons and the effects of the surroundings (all).",
)
@click.option(
    "--lost-dice",
    type=float,
    default=0.5,
    show_default=True,
    help="Dice down to which an object counts as lost.",
)
@click.option(
    "--drawn-dice",
    type=float,
    help="Dice from which a missed object counts as drawn: with the annotation, the polygon, the "
    "filled box, or a disc around the point.  [default: 0.7; with --box 0.5, for objects do not "
    "fill theirs]",
)
@click.option(
    "--robust",
    type=float,
    metavar="SHARE",
    help="Search for a region that does what is asked on at least this share of all baseline "
    "images, e.g. 0.9, and say how sure that is; needs the extra `inpaint`.",
)
@click.option(
    "--stability",
    is_flag=True,
    help="Also explain the object again after a shift of a pixel, 1 % noise, JPEG, and with "
    "another seed: how far is the region the same? Takes five times the passes.",
)
@dice_threshold_option
@with_search
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=settings,
    metavar="KEY=VALUE",
    help="Any other option of the preset, e.g. growth=bracket; `misure presets -v` lists them.",
)
@click.option(
    "--other-image",
    type=click.Path(path_type=Path),
    metavar="IMAGE",
    help="Another image, to show in the outline of the region: what is then still segmented is no "
    "evidence of its content. Scaled and cropped if need be.  [default: the image itself, turned "
    "by 180 degrees]",
)
@click.option(
    "--panels",
    metavar="NAME,NAME",
    help="Panels of the overview, which alone are written: image, segmentation, "
    "minimally_sufficient_region, overlay, sufficient_region, saliency_map, shown.  [default: the "
    "first four in the overview, and a file of each]",
)
@picture_kind_option
@dpi_option
@seed_option
@out_option(
    "Folder to write to.  [default: misure-IMAGE-CLASS, and which object: -INSTANCE, -at-POINT "
    "or -in-BOX]"
)
@force_option
@quiet_option
def explain(
    image: Path,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    chosen: ChosenObject,
    question: str,
    lost_dice: float,
    drawn_dice: float | None,
    robust: float | None,
    stability: bool,
    dice_threshold: float,
    search: dict[str, Any],
    options: dict[str, Any],
    other_image: Path | None,
    panels: str | None,
    kind: str,
    dpi: float,
    seed: int,
    out: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Explain one segmentation: why did the network draw this object, or why did it miss it?

    Writes explanation.json, explanation.npz, overview.png and its panels into the --out folder; for
    another --question its own .json, .npz and .png, and answer.json for all of them. For volumes
    it also writes montage.png, and the regions and the map as NIfTI.

    IMAGE may be several files with commas between them, the channels of one image.
    """
    from misure._util.folders import writing_folder
    from misure.cli.commands.questions import Asked, check_options
    from misure.datasets import ImageFiles
    from misure.explanation.presets import DEFAULT_PRESET, make_preset
    from misure.images.spacing import known_spacing
    from misure.images.volumes import files_of_image
    from misure.models.long_passes import time_needed
    from misure.models.segmentation import segment
    from misure.reports.explanation_picture import PictureOptions, panel_names
    from misure.reports.folders import ANSWER_FILES, RESULT_FILES

    check_inputs(image, spec, other=other_image, missed=chosen.missed)
    chosen = chosen.of_prompts(model_options.get("prompts", ()))
    chosen.check(question)
    drawn_dice = chosen.usual_drawn_dice if drawn_dice is None else drawn_dice
    if taken := [name for name in _FLAGS if name in options]:
        raise InputError(
            f"expected options of the preset with --option, got {taken[0]}, which is none. `misure "
            "explain --help` lists the flags, `misure presets -v` the options."
        )
    pictures = PictureOptions(panel_names(panels) if panels else None, kind, dpi)
    options |= search
    check_options(question, options, lost_dice, robust, stability, other_image)
    most_passes = None
    if question == "sufficient":  # before the network is loaded, which may take long
        asked_for = {name: value for name, value in options.items() if name != "preset"}
        most_passes = make_preset(options.get("preset") or DEFAULT_PRESET, asked_for).about_passes
    model, reading = load_model_and_reading(spec, model_options, device, slice_index, image_options)
    sample, volume = ImageFiles([image], reading=reading)[0], reading.volume(image)
    pixels = sample.image.to(model.device)
    if not quiet and model.windows is not None:
        model = model.for_image(pixels, sample.affine)
        model.examine(pixels[None])
        if sentence := time_needed(model, pixels.shape[1:], most_passes):
            say(f"misure: {sentence}", err=True)
    segmentation = segment(model, pixels, affine=sample.affine)
    target = chosen.target(segmentation, question, image=image, sample=sample, reading=reading)
    out = out or chosen.folder(image, target)
    made_with = chosen.settings() | {
        "image": ",".join(str(path.resolve()) for path in files_of_image(image)),
        "model": spec, "model_options": model_options,
        "image_options": image_options, "question": question, "lost_dice": lost_dice,
        "drawn_dice": drawn_dice, "robust": robust, "stability": stability,
        "class_index": target.class_index, "dice_threshold": dice_threshold, "options": options,
        "other_image": None if other_image is None else str(other_image.resolve()), "seed": seed,
        "pictures": [panels, kind, dpi],
    }  # fmt: skip
    names = [*RESULT_FILES, *ANSWER_FILES]
    writing = writing_folder(out, command="explain", settings=made_with, force=force, names=names)
    with (
        writing as folder,
        segmentation.model.counting() as cost,
        progress(quiet, cost, most_passes) as on_step,
    ):
        given: dict[str, Any] = {"spacing_mm": known_spacing(sample.spacing_mm)} | options
        if other_image is not None:
            other = reading.volume(other_image)
            number = None if other is None else slice_index
            of_other = replace(reading, slice_index=number)
            given["other_image"] = of_other.image(other or other_image)
            given["other_image_name"] = str(other_image)
        asked = Asked(
            model=segmentation.model,
            segmentation=segmentation,
            image=image,
            volume=volume,
            pixels=pixels,
            target=target,
            order=sample.order,
            slice_index=slice_index,
            dice_threshold=dice_threshold,
            lost_dice=lost_dice,
            drawn_dice=drawn_dice,
            robust=robust,
            stability=stability,
            options=given | {"seed": seed, "on_step": on_step},
            pictures=pictures,
        )
        said = asked.answer(question, folder, out)
    if not quiet:
        say(said)
