"""The command line. Every command is a few lines over a function of the library.

Bad input gives one sentence and exit code 2. Nothing here imports torch before a command runs.
"""

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import misure
from misure.errors import InputError, MisureError
from misure.option_values import numbers, settings
from misure.terminal import progress, summary, table


class _BadInput(click.ClickException):
    exit_code = 2


class _OneSentence(click.Group):
    """A group whose commands answer an expected error with one sentence and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (MisureError, OSError) as error:
            raise _BadInput(" ".join(str(error).split())) from error


@click.group(cls=_OneSentence, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(misure.__version__, prog_name="misure")
def main() -> None:
    """Explain image segmentation: which part of an image is needed, and nothing more."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up as after an interrupt


_model_options = [
    click.option("--model", "spec", required=True, help="Which network, e.g. triangle, hf:FOLDER."),
    click.option(
        "--model-option",
        "model_options",
        multiple=True,
        callback=settings,
        metavar="KEY=VALUE",
        help="How to use it, e.g. mean=0.5,0.5,0.5 (arguments of SegmentationModel).",
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ..."),
    click.option(
        "--slice", "slice_index", type=int, help="Axial slice of a NIfTI volume, from the feet."
    ),
]
_SEED = click.IntRange(0, 2**32 - 1)
_quiet = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
_image = click.argument("image", type=click.Path(path_type=Path))


def _with_model(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_model_options):
        command = option(command)
    return command


@main.command()
@_image
@_with_model
@click.option("--class", "class_", metavar="NAME|INDEX", help="What to explain.")
@click.option(
    "--point", metavar="R,C", callback=numbers("R,C"), help="Only the object at this pixel."
)
@click.option(
    "--box", metavar="R0,C0,R1,C1", callback=numbers("R0,C0,R1,C1"), help="Only what lies inside."
)
@click.option("--instance", type=int, help="Only one connected object; 0 is the largest.")
@click.option("--dice-threshold", default=0.9, show_default=True, help="When it counts as kept.")
@click.option(
    "--preset",
    help="certified, forward_only, paper or sufficient_region.  [default: certified, or "
    "forward_only without gradients]",
)
@click.option("--max-passes", type=int, help="Budget in pass equivalents.  [default: the preset's]")
@click.option("--grain-px", type=int, help="Smallest piece of the region.  [default: 1/128]")
@click.option("--certify", is_flag=True, help="Remove blocks until no single one can be removed.")
@click.option(
    "--baseline-image",
    help="mean, black, blurred or noise; several with commas: suffice with each.",
)
@click.option(
    "--compare-presentations",
    is_flag=True,
    help="Grow the object with other baseline images and edges too.",
)
@click.option("--edge-px", type=int, help="Width of the soft edge.  [default: the preset's]")
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=settings,
    metavar="KEY=VALUE",
    help="Any other option of the preset, e.g. growth=bracket.",
)
@click.option("--seed", type=_SEED, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder.  [default: misure-IMAGE]")
@_quiet
def explain(
    image: Path,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    class_: str | None,
    point: tuple[int, ...] | None,
    box: tuple[int, ...] | None,
    instance: int | None,
    dice_threshold: float,
    preset: str | None,
    max_passes: int | None,
    grain_px: int | None,
    certify: bool,
    baseline_image: str | None,
    compare_presentations: bool,
    edge_px: int | None,
    options: dict[str, Any],
    seed: int,
    out: Path | None,
    quiet: bool,
) -> None:
    """Explain one segmentation: why did the network draw this object?

    Writes explanation.json, explanation.npz, overview.png and its panels into the --out folder.
    """
    from dataclasses import replace

    from misure.explainer import explain
    from misure.image import read_viewing_order
    from misure.presentation import make_presentations
    from misure.result_folder import save_result, writing_folder
    from misure.segmentation import segment

    given = {
        "baseline_image": baseline_image,
        "edge_px": edge_px,
        "max_passes": max_passes,
        "grain_px": grain_px,
        "certify": certify or None,
        "compare_presentations": compare_presentations or None,
    }
    options |= {key: value for key, value in given.items() if value is not None}
    out = out or Path(f"misure-{_stem(image)}")
    with writing_folder(out) as folder, progress(quiet) as on_step:
        model, pixels = _load(image, spec, model_options, device, slice_index)
        order = read_viewing_order(image)
        segmentation = segment(model, pixels)
        target = segmentation.target(
            None if class_ is None else model.find_class(class_),
            point=point,
            box=box,
            instance=instance,
        )
        found = explain(
            model,
            pixels,
            target,
            dice_threshold=dice_threshold,
            preset=preset,
            seed=seed,
            on_step=on_step,
            **options,
        )
        found = replace(found, image=str(image), slice_index=slice_index)
        presentation = make_presentations(
            model,
            pixels,
            baseline_image=found.settings["baseline_image"],
            edge_px=found.settings["edge_px"],
            seed=seed,
        )[0]
        save_result(found, presentation, segmentation, folder, order=order)
    if not quiet:
        click.echo(summary(found.record(), out))


@main.command()
@_image
@_with_model
@_quiet
def classes(
    image: Path,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    quiet: bool,
) -> None:
    """What the network finds in an image: classes, areas, number of objects."""
    from misure.segmentation import segment

    model, pixels = _load(image, spec, model_options, device, slice_index)
    found = segment(model, pixels).found_classes()
    if not quiet:
        rows = [
            [str(one.class_index), one.class_name, f"{one.num_pixels:,}",
             f"{one.area_fraction:.2%}", str(one.num_objects)]
            for one in found
        ]  # fmt: skip
        click.echo(table(["class_index", "class_name", "pixels", "area", "objects"], rows))


@main.command()
@click.argument("dataset", type=click.Choice(["triangle"]))
@click.option("--out", type=click.Path(path_type=Path), help="[default: DATASET.safetensors]")
@click.option(
    "--steps", type=click.IntRange(2), default=1300, show_default=True, help="Steps of 16 samples."
)
@click.option("--disc", is_flag=True, help="The variant that needs a disc.")
@click.option("--seed", type=_SEED, default=0, show_default=True)
@_quiet
def train(dataset: str, out: Path | None, steps: int, disc: bool, seed: int, quiet: bool) -> None:
    """Train a small network on a data set, and measure it on held-out samples.

    Use the result with --model triangle:FILE.
    """
    from misure.networks.triangle import save_triangle_network
    from misure.result_folder import writing_folder
    from misure.training import train_triangle

    out = out or Path(f"{dataset}.safetensors")
    if out.is_dir():
        raise InputError(
            f"train: expected a file to write to, {out} is a folder. Name a file in it."
        )
    with writing_folder(out.parent) as folder, progress(quiet) as on_step:
        net, figures = train_triangle(num_steps=steps, seed=seed, disc=disc, on_step=on_step)
        save_triangle_network(net, figures, folder / out.name)
    if not quiet:
        click.echo(
            f"{out}: on held-out samples foreground Dice {figures['foreground_dice']:.4f}, "
            f"{figures['distractor_fraction']:.2%} of distractor pixels taken for foreground"
        )


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default="demo", show_default=True)
@_quiet
def demo(out: Path, quiet: bool) -> None:
    """Explain three held-out triangles with the network that comes with misure."""
    from misure.demo import run_demo
    from misure.result_folder import writing_folder

    with writing_folder(out) as folder, progress(quiet) as on_step:
        rows = run_demo(folder, on_step)
    if not quiet:
        cells = [
            [str(row["sample"]), f"{row['growth_px']:.1f}"]
            + [f"{value:.3f}" for value in list(row.values())[2:-1]]
            + [str(row["pass_equivalents"])]
            for row in rows
        ]
        click.echo(table(list(rows[0]), cells))
        click.echo(f"\nPictures: {out}/*/overview.png")


def _load(
    image: Path, spec: str, options: dict[str, Any], device: str, slice_index: int | None
) -> tuple[Any, Any]:
    """The model, and the image on its device."""
    from misure.image import read_image
    from misure.loaders import load_model

    model = load_model(spec, **({"device": device} | options))
    pixels = read_image(image, num_channels=model.num_channels, slice_index=slice_index)
    return model, pixels.to(model.device)


def _stem(image: Path) -> str:
    return image.name.split(".")[0] or "image"
