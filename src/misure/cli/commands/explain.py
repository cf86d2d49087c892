"""`misure explain`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import numbers, settings
from misure.cli.commands.options import (
    dice_threshold_option,
    force_option,
    image_argument,
    load_model_and_reading,
    out_option,
    quiet_option,
    seed_option,
    with_model,
    with_search,
)
from misure.cli.terminal import progress, say
from misure.errors import InputError

_FLAGS = ("seed", "dice_threshold", "other_image", "preset", "model", "image", "target", "on_step")


@click.command(cls=FilledCommand)
@image_argument
@with_model()
@click.option(
    "--class",
    "class_",
    metavar="NAME|INDEX",
    help="Class to explain; needed unless --point names an object.",
)
@click.option(
    "--point", metavar="R,C", callback=numbers("R,C"), help="Only the object at this pixel."
)
@click.option(
    "--box", metavar="R0,C0,R1,C1", callback=numbers("R0,C0,R1,C1"), help="Only what lies inside."
)
@click.option("--instance", type=int, help="Only one connected object; 0 is the largest.")
@click.option(
    "--question",
    type=click.Choice(["sufficient", "necessary", "surroundings", "blocking", "all"]),
    default="sufficient",
    show_default=True,
    help="What to find: the region that suffices, the one without which the object is lost, the "
    "same outside of the object only, what stands in the way of an object that the network missed, "
    "or all that can be said of a drawn object.",
)
@click.option(
    "--missed",
    type=click.Path(path_type=Path),
    metavar="ANNOTATION",
    help="The object that the network missed, for --question blocking: a picture of class numbers "
    "or a mask, or NIfTI labels.",
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
    default=0.7,
    show_default=True,
    help="Dice with the annotation from which a missed object counts as drawn.",
)
@click.option(
    "--robust",
    type=float,
    metavar="SHARE",
    help="Also measure on which share of baseline images of many kinds the region that was found "
    "does what was asked, and whether it is at least this; needs the extra `inpaint`.",
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
    class_: str | None,
    point: tuple[int, ...] | None,
    box: tuple[int, ...] | None,
    instance: int | None,
    question: str,
    missed: Path | None,
    lost_dice: float,
    drawn_dice: float,
    robust: float | None,
    dice_threshold: float,
    search: dict[str, Any],
    options: dict[str, Any],
    other_image: Path | None,
    seed: int,
    out: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Explain one segmentation: why did the network draw this object, or why did it miss it?

    Writes explanation.json, explanation.npz, overview.png and its panels into the --out folder; for
    another --question its own .json, .npz and .png, and answer.json for all of them. For NIfTI
    input it also writes the regions and the map as NIfTI.
    """
    from misure._util.folders import writing_folder
    from misure.cli.commands.questions import Asked, missed_object
    from misure.datasets import ImageFiles
    from misure.explanation.robust.measured import check_askable
    from misure.images.nifti import is_nifti
    from misure.images.spacing import known_spacing
    from misure.models.segmentation import segment
    from misure.reports.folders import ANSWER_FILES, RESULT_FILES

    is_missed = question == "blocking"
    if is_missed != (missed is not None):
        raise InputError(
            "expected --missed with --question blocking, and with no other question; got "
            f"--question {question} {'with' if missed else 'without'} --missed."
        )
    if class_ is None and (point is None or is_missed):
        raise InputError(
            "expected --class or --point, got neither. `misure classes` lists what the network "
            "finds."
            if not is_missed
            else "expected --class, the class that the missed object should have, got none."
        )
    if is_missed and (box, instance) != (None, None):
        raise InputError(
            "expected at most --point of the options that choose an object with --missed, which "
            "says itself where it is."
        )
    if other_image is not None and question != "sufficient":
        raise InputError(
            f"expected --other-image with --question sufficient alone, got --question {question}: "
            "nothing is shown in the outline of what is hidden."
        )
    if robust is not None:
        check_askable(robust)
    if taken := [name for name in _FLAGS if name in options]:
        raise InputError(
            f"expected options of the preset with --option, got {taken[0]}, which is none. `misure "
            "explain --help` lists the flags, `misure presets -v` the options."
        )
    options |= search
    model, reading = load_model_and_reading(spec, model_options, device, slice_index, image_options)
    sample = ImageFiles([image], reading=reading)[0]
    pixels = sample.image.to(model.device)
    segmentation = segment(model, pixels)
    class_index = None if class_ is None else model.find_class(class_)
    if missed is not None and class_index is not None:
        target = missed_object(segmentation, missed, class_index, slice_index, point)
    else:
        target = segmentation.target(class_index, point=point, box=box, instance=instance)
    chosen = {"slice": slice_index, "instance": instance, "point": point, "box": box}
    out = out or _default_out(image, target.class_name or str(target.class_index), chosen)
    made_with = chosen | {
        "image": str(image.resolve()), "model": spec, "model_options": model_options,
        "image_options": image_options, "question": question, "lost_dice": lost_dice,
        "drawn_dice": drawn_dice, "robust": robust,
        "missed": None if missed is None else str(missed.resolve()),
        "class_index": target.class_index, "dice_threshold": dice_threshold, "options": options,
        "other_image": None if other_image is None else str(other_image.resolve()), "seed": seed,
    }  # fmt: skip
    names = [*RESULT_FILES, *ANSWER_FILES]
    writing = writing_folder(out, command="explain", settings=made_with, force=force, names=names)
    with writing as folder, progress(quiet) as on_step:
        given: dict[str, Any] = {"spacing_mm": known_spacing(sample.spacing_mm)} | options
        if other_image is not None:
            number = slice_index if is_nifti(other_image) else None
            given["other_image"] = replace(reading, slice_index=number).image(other_image)
            given["other_image_name"] = str(other_image)
        asked = Asked(
            model=model,
            segmentation=segmentation,
            image=image,
            pixels=pixels,
            target=target,
            order=sample.order,
            slice_index=slice_index,
            dice_threshold=dice_threshold,
            lost_dice=lost_dice,
            drawn_dice=drawn_dice,
            robust=robust,
            options=given | {"seed": seed, "on_step": on_step},
        )
        said = asked.answer(question, folder, out)
    if not quiet:
        say(said)


def _default_out(image: Path, class_name: str, chosen: dict[str, Any]) -> Path:
    """`misure-IMAGE-CLASS`, and what else was chosen, so that no two objects share a folder."""
    from misure.images.nifti import nifti_stem

    parts = ["misure", nifti_stem(image.name) or "image"]
    if chosen["slice"] is not None:
        parts.append(f"slice{chosen['slice']}")
    parts.append(class_name)
    if chosen["instance"] is not None:
        parts.append(str(chosen["instance"]))
    for name, word in (("point", "at"), ("box", "in")):
        if chosen[name] is not None:
            parts.append("-".join([word, *map(str, chosen[name])]))
    return Path(re.sub(r"[^\w.-]+", "_", "-".join(parts)))
