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
from misure.cli.terminal import progress, say, summary
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
    dice_threshold: float,
    search: dict[str, Any],
    options: dict[str, Any],
    other_image: Path | None,
    seed: int,
    out: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Explain one segmentation: why did the network draw this object?

    Writes explanation.json, explanation.npz, overview.png and its panels into the --out folder. For
    NIfTI input it also writes the regions and the map as NIfTI.
    """
    from misure._util.folders import writing_folder
    from misure.datasets import ImageFiles
    from misure.explanation.explain import explain
    from misure.explanation.presentation import make_presentations
    from misure.images.nifti import NiftiFile, is_nifti
    from misure.images.spacing import known_spacing
    from misure.models.segmentation import segment
    from misure.reports.folders import RESULT_FILES, save_result

    if class_ is None and point is None:
        raise InputError(
            "expected --class or --point, got neither. `misure classes` lists what the network "
            "finds."
        )
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
    target = segmentation.target(
        None if class_ is None else model.find_class(class_), point=point, box=box,
        instance=instance,
    )  # fmt: skip
    chosen = {"slice": slice_index, "instance": instance, "point": point, "box": box}
    out = out or _default_out(image, target.class_name or str(target.class_index), chosen)
    made_with = chosen | {
        "image": str(image.resolve()), "model": spec, "model_options": model_options,
        "image_options": image_options,
        "class_index": target.class_index, "dice_threshold": dice_threshold, "options": options,
        "other_image": None if other_image is None else str(other_image.resolve()), "seed": seed,
    }  # fmt: skip
    writing = writing_folder(
        out, command="explain", settings=made_with, force=force, names=RESULT_FILES
    )
    with writing as folder, progress(quiet) as on_step:
        given: dict[str, Any] = {"spacing_mm": known_spacing(sample.spacing_mm)} | options
        if other_image is not None:
            number = slice_index if is_nifti(other_image) else None
            given["other_image"] = replace(reading, slice_index=number).image(other_image)
            given["other_image_name"] = str(other_image)
        explanation = explain(
            model,
            pixels,
            target,
            dice_threshold=dice_threshold,
            seed=seed,
            on_step=on_step,
            **given,
        )
        explanation = explanation.with_values(image=str(image), slice_index=slice_index)
        presentation = make_presentations(
            model,
            pixels,
            baseline_image=explanation.settings["baseline_image"],
            edge_px=explanation.settings["edge_px"],
            seed=seed,
            spacing_mm=explanation.values.spacing_mm,
        )[0]
        save_result(
            explanation,
            presentation,
            segmentation,
            folder,
            order=sample.order,
            volume=NiftiFile(image) if is_nifti(image) else None,
        )
    if not quiet:
        say(summary(explanation.values, out))


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
