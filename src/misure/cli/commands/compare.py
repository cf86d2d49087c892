"""`misure compare`."""

from pathlib import Path
from typing import Any

import click

from misure._util.words import counted
from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import names, settings_of_methods
from misure.cli.commands.options import (
    dice_threshold_option,
    dpi_option,
    force_option,
    out_option,
    picture_kind_option,
    quiet_option,
    seed_option,
    with_model,
    with_search,
)
from misure.cli.terminal import progress, say, table
from misure.errors import InputError

_SHOWN = ("sufficient_area", "necessity", "iou", "average_precision", "pass_equivalents")


@click.command(cls=FilledCommand)
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--dataset",
    metavar="SPEC",
    help="In place of images: {datasets}.",
)
@with_model(required=False)
@click.option(
    "--class",
    "class_",
    metavar="NAME|INDEX",
    help="Class to explain.  [default: what the data set asks about, else the largest class but "
    "the background]",
)
@click.option("--instance", type=int, help="Only one connected object; 0 is the largest.")
@click.option(
    "--methods",
    callback=names,
    help="Names with commas, or all: {methods}.  [default: {default_methods}]",
)
@click.option(
    "--metrics",
    callback=names,
    help="Names (`misure metrics` lists them) or groups with commas, or all: {metric_groups}.  "
    "[default: all but stability and sanity]",
)
@with_search
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=settings_of_methods,
    metavar="[METHOD.]KEY=VALUE",
    help="An option of a method, e.g. rise.num_masks=4000; without METHOD of misure itself.",
)
@dice_threshold_option
@seed_option
@picture_kind_option
@dpi_option
@out_option("Folder to write to.", "comparison")
@force_option
@quiet_option
def compare(
    images: tuple[Path, ...],
    dataset: str | None,
    spec: str | None,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    class_: str | None,
    instance: int | None,
    methods: list[str] | None,
    metrics: list[str] | None,
    search: dict[str, Any],
    options: dict[str, dict[str, Any]],
    dice_threshold: float,
    seed: int,
    kind: str,
    dpi: float,
    out: Path,
    force: bool,
    quiet: bool,
) -> None:
    """Compare methods on images or a data set: one object of each image, every metric of each map.

    Writes comparison.json, comparison.csv, comparison.md and the picture comparison.png into the
    --out folder.
    """
    from misure._util.folders import writing_folder
    from misure.datasets import Dataset, ImageFiles, Reading, open_dataset
    from misure.explanation.annotated_objects import model_for_dataset
    from misure.metrics.comparison.compare import DEFAULT_METHODS, DEFAULT_METRICS, compare
    from misure.models.loaders import load_model
    from misure.reports.explanation_picture import PictureOptions
    from misure.reports.folders import COMPARISON_FILES, save_comparison

    baseline_image = search.pop("baseline_image", "mean")
    if search:
        options["misure"] = search | options.get("misure", {})
    if bool(images) == bool(dataset):
        raise InputError(
            "expected images or a --dataset, got "
            f"{'both' if dataset else 'neither'}. Give one of them."
        )
    if spec is None and dataset and dataset.partition(":")[0] in ("triangle", "triangle-two"):
        spec = "triangle"  # the network that comes with misure
    if spec is None:
        raise InputError("expected a network, got none. Name it with --model.")
    made_with = {
        "images": [str(path.resolve()) for path in images], "dataset": dataset, "model": spec,
        "model_options": model_options, "image_options": image_options,
        "slice_index": slice_index, "class": class_,
        "instance": instance, "methods": methods, "metrics": metrics, "options": options,
        "baseline_image": baseline_image, "dice_threshold": dice_threshold, "seed": seed,
    }  # fmt: skip
    pictures = PictureOptions(None, kind, dpi)
    if pictures != PictureOptions():
        made_with["pictures"] = [kind, dpi]
    writing = writing_folder(
        out, command="compare", settings=made_with, force=force, names=COMPARISON_FILES
    )
    with writing as folder, progress(quiet) as on_step:
        model = load_model(spec, **({"device": device} | model_options))
        reading = Reading.for_model(model, slice_index, image_options)
        samples: Dataset = (
            open_dataset(dataset, reading) if dataset else ImageFiles(images, reading=reading)
        )
        model = model_for_dataset(model, samples)
        comparison = compare(
            model,
            samples,
            methods=methods or DEFAULT_METHODS,
            metrics=metrics or DEFAULT_METRICS,
            class_index=None if class_ is None else model.find_class(class_),
            instance=instance,
            dice_threshold=dice_threshold,
            baseline_image=baseline_image,
            method_options=options,
            seed=seed,
            on_step=on_step,
        )
        save_comparison(comparison, folder, kind=kind, dpi=dpi)
    if quiet:
        return
    summary = comparison.summary()
    known = [name for name in comparison.metrics if any(name in by for by in summary.values())]
    shown = [name for name in _SHOWN if name in known] or known[: len(_SHOWN)]
    cells = [
        [method, *(f"{by[name]['mean']:.3f}" if name in by else "-" for name in shown)]
        for method, by in summary.items()
    ]
    say(table(["mean of", *shown], cells))
    num_rows, num_failed = len(comparison.rows), sum(bool(row.error) for row in comparison.rows)
    failed = f"; {num_failed} of {num_rows} cells failed in part" if num_failed else ""
    say(
        f"\n{counted(len(samples.keys), 'image')}{failed}; see {out}/comparison.md and "
        f"{out}/comparison.{kind}"
    )
