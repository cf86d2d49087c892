"""`misure train`."""

from pathlib import Path

import click

from misure.commands.options import SEED, quiet_option
from misure.errors import InputError
from misure.terminal import progress


@click.command()
@click.argument("dataset", type=click.Choice(["triangle"]))
@click.option("--out", type=click.Path(path_type=Path), help="[default: DATASET.safetensors]")
@click.option(
    "--steps", type=click.IntRange(2), default=1300, show_default=True, help="Steps of 16 samples."
)
@click.option("--disc", is_flag=True, help="The variant that needs a disc.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@quiet_option
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
