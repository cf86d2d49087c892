"""`misure experiment`."""

from pathlib import Path

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.options import force_option, out_option, quiet_option
from misure.cli.terminal import progress, say


@click.command(cls=FilledCommand)
@click.argument("name")
@click.option("--quick", is_flag=True, help="Few samples and short training: about two minutes.")
@click.option("--data", default="", help="Folder of the data set, if the experiment needs one.")
@click.option(
    "--model",
    default="",
    metavar="SPEC",
    help="Network, if the experiment needs one, e.g. hf:FOLDER.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that explain.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Where networks run: auto, cpu, cuda, cuda:1 ...",
)
@out_option("Folder of the experiment.  [default: NAME]")
@force_option
@quiet_option
def experiment(
    name: str,
    quick: bool,
    data: str,
    model: str,
    workers: int,
    device: str,
    out: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Run one of the paper's experiments, or one of your own.

    NAME is one of {experiments}, or a .toml file. The folder holds networks, runs, tables, figures
    and reports. If the experiment is interrupted, the same command continues it.
    """
    from misure._util.folders import refuse_foreign_folder
    from misure.lab.experiments import read_plan, run_experiment

    plan = read_plan(name)
    plan = plan.quickly() if quick else plan
    out = out or Path(plan.name)
    refuse_foreign_folder(out, ("experiment.toml",), force=force)
    with progress(quiet) as on_step:
        run_experiment(
            plan,
            out,
            data=data,
            model=model,
            num_workers=workers,
            device=device,
            say=(lambda _: None) if quiet else say,
            on_step=on_step,
        )
    if not quiet:
        say((out / "table.md").read_text(encoding="utf-8"))
