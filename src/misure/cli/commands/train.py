"""`misure train`."""

from pathlib import Path

import click

from misure._util.words import counted
from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.options import force_option, out_option, quiet_option, seed_option
from misure.cli.terminal import progress, say


@click.command(cls=FilledCommand)
@click.argument("dataset")
@click.option(
    "--network",
    default="unet",
    show_default=True,
    help="Architecture: {networks}.",
)
@click.option("--steps", type=click.IntRange(2), help="Steps, at most.  [default: the data set's]")
@click.option(
    "--batch", type=click.IntRange(1), help="Samples per step.  [default: the data set's]"
)
@click.option(
    "--learning-rate", type=float, help="Highest learning rate.  [default: the network's]"
)
@click.option(
    "--validate-every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps between two validations.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Validations without an improvement before training stops.",
)
@seed_option
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Where it trains: auto, cpu, cuda, cuda:1 ...",
)
@out_option("Folder of the network.  [default: DATASET-NETWORK]")
@force_option
@quiet_option
def train(
    dataset: str,
    network: str,
    steps: int | None,
    batch: int | None,
    learning_rate: float | None,
    validate_every: int,
    patience: int,
    seed: int,
    device: str,
    out: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Train a network on a data set with annotations.

    DATASET is one of {trainable}. The network is tested on cases that it has not seen. If
    training is killed, the same command continues it. Use the result with --model trained:FOLDER.
    """
    from misure._util.folders import refuse_foreign_folder
    from misure.lab.training import train

    out = out or Path(f"{dataset.partition(':')[0]}-{network}")
    refuse_foreign_folder(out, ("card.json", "checkpoint.pt", "test.txt"), force=force)
    with progress(quiet) as on_step:
        result = train(
            dataset,
            network=network,
            num_steps=steps,
            batch_size=batch,
            learning_rate=learning_rate,
            validate_every=validate_every,
            patience=patience,
            seed=seed,
            device=device,
            out=out,
            on_step=on_step,
        )
    if not quiet:
        card = result.card
        by_class = ", ".join(f"{name} {dice:.3f}" for name, dice in card.test_dice.items())
        say(
            f"{out}: Dice on {card.num_test} test samples {card.mean_test_dice:.3f} ({by_class}); "
            f"stopped by {card.stopped_by} after {counted(card.stopped_after, 'step')}."
        )
