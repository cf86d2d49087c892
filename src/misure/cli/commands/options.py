"""Options that commands have in common, and the model and image that they name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from misure.cli.commands.option_values import settings

SEED = click.IntRange(0, 2**32 - 1)
quiet_option = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
image_argument = click.argument("image", type=click.Path(path_type=Path))

_model_options = [
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


def with_model(*, required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the options that say which network, and how it and an image are to be read."""
    which = click.option(
        "--model", "spec", required=required, help="Which network, e.g. triangle, hf:FOLDER."
    )

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed([which, *_model_options]):
            command = option(command)
        return command

    return add


def load_model_and_image(
    image: Path, spec: str, options: dict[str, Any], device: str, slice_index: int | None
) -> tuple[Any, Any]:
    """The model, and the image on its device."""
    from misure.images.read import read_image
    from misure.models.loaders import load_model

    model = load_model(spec, **({"device": device} | options))
    pixels = read_image(
        image,
        num_channels=model.num_channels,
        slice_index=slice_index,
        intensity=model.intensity,
    )
    return model, pixels.to(model.device)
