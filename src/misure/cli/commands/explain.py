"""`misure explain`."""

from pathlib import Path
from typing import Any

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import numbers, settings
from misure.cli.commands.options import (
    dice_threshold_option,
    image_argument,
    load_model_and_image,
    out_option,
    quiet_option,
    seed_option,
    with_model,
    with_search,
)
from misure.cli.terminal import progress, say, summary
from misure.errors import InputError


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
@seed_option
@out_option("Folder to write to.  [default: misure-IMAGE]")
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
    seed: int,
    out: Path | None,
    quiet: bool,
) -> None:
    """Explain one segmentation: why did the network draw this object?

    Writes explanation.json, explanation.npz, overview.png and its panels into the --out folder. For
    NIfTI input it also writes the regions and the map as NIfTI.
    """
    from misure._util.folders import writing_folder
    from misure.explanation.explain import explain
    from misure.explanation.presentation import make_presentations
    from misure.images.nifti import NiftiFile, is_nifti, nifti_stem
    from misure.images.orientation import AS_STORED
    from misure.models.segmentation import segment
    from misure.reports.folders import save_result

    if class_ is None and point is None:
        raise InputError(
            "expected --class or --point, got neither. `misure classes` lists what the network "
            "finds."
        )
    options |= search
    out = out or Path(f"misure-{nifti_stem(image.name) or 'image'}")
    with writing_folder(out) as folder, progress(quiet) as on_step:
        model, pixels = load_model_and_image(
            image, spec, model_options, device, slice_index, image_options
        )
        volume = NiftiFile(image) if is_nifti(image) else None
        order = volume.order if volume else AS_STORED
        segmentation = segment(model, pixels)
        target = segmentation.target(
            None if class_ is None else model.find_class(class_),
            point=point,
            box=box,
            instance=instance,
        )
        explanation = explain(
            model,
            pixels,
            target,
            dice_threshold=dice_threshold,
            seed=seed,
            on_step=on_step,
            **options,
        )
        explanation = explanation.with_values(image=str(image), slice_index=slice_index)
        presentation = make_presentations(
            model,
            pixels,
            baseline_image=explanation.settings["baseline_image"],
            edge_px=explanation.settings["edge_px"],
            seed=seed,
        )[0]
        save_result(explanation, presentation, segmentation, folder, order=order, volume=volume)
    if not quiet:
        say(summary(explanation.values, out))
