"""`misure run`."""

from typing import Any

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import names_of_all, part_of, settings
from misure.cli.commands.options import (
    dice_threshold_option,
    quiet_option,
    seed_option,
    with_model,
    with_search,
)
from misure.cli.terminal import counted, run_progress


@click.command(name="run", cls=FilledCommand)
@click.argument("source")
@with_model()
@click.option(
    "--class",
    "classes",
    multiple=True,
    callback=names_of_all,
    metavar="NAME|INDEX",
    help="Classes to explain: repeated, or with commas.  [default: all but the background]",
)
@click.option(
    "--instances",
    is_flag=True,
    help="Explain each connected object by itself, not each class as a whole.",
)
@click.option(
    "--min-area",
    default=0.001,
    show_default=True,
    help="Area of the smallest object, as a fraction of the image.",
)
@click.option(
    "--method",
    default="misure",
    show_default=True,
    help="How objects are explained: {methods}.",
)
@with_search
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=settings,
    metavar="KEY=VALUE",
    help="Any other option of the method; `misure methods -v` lists them.",
)
@dice_threshold_option
@click.option(
    "--test-time-augmentation",
    is_flag=True,
    help="Also record whether slightly changed images are segmented the same (4 passes each).",
)
@seed_option
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Processes here, or actors on a Ray cluster.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that explain samples at the same time.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="CPU threads of each worker.",
)
@click.option("--address", help="Address of the Ray cluster, e.g. auto.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N samples.", metavar="N")
@click.option(
    "--shard",
    callback=part_of,
    metavar="I/N",
    help="Only every N-th sample, from the I-th on (from 0).  [default: RANK/WORLD_SIZE]",
)
@click.option("--retry-failed", is_flag=True, help="Try samples with failed objects once more.")
@click.option("--out", required=True, help="The run folder, or an address as s3://bucket/run.")
@quiet_option
@click.pass_context
def run(
    ctx: click.Context,
    source: str,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    classes: tuple[str, ...],
    instances: bool,
    min_area: float,
    method: str,
    search: dict[str, Any],
    options: dict[str, Any],
    dice_threshold: float,
    test_time_augmentation: bool,
    seed: int,
    engine: str,
    workers: int,
    threads: int,
    address: str | None,
    limit: int | None,
    shard: tuple[int, int] | None,
    retry_failed: bool,
    out: str,
    quiet: bool,
) -> None:
    """Explain every object in a folder of images, a list of paths or a data set.

    SOURCE is a folder, a text file with one path a line, or a data set: {datasets}.

    The same command goes on where it stopped, with any number of workers. The exit code is 1 if
    something failed.
    """
    from misure.runs.execution import Execution, shard_of_environment
    from misure.runs.plan import RunPlan
    from misure.runs.run import read_run, run

    options |= search
    plan = RunPlan(
        classes=classes,
        instances=instances,
        min_area=min_area,
        method=method,
        method_options=options,
        dice_threshold=dice_threshold,
        seed=seed,
        test_time_augmentation=test_time_augmentation,
    )
    execution = Execution(
        engine=engine,
        num_workers=workers,
        num_threads=threads,
        address=address,
        limit=limit,
        shard=shard or shard_of_environment(),
        retry_failed=retry_failed,
    )
    with run_progress(quiet) as on_progress:
        done = run(
            source,
            spec,
            out,
            plan,
            model_options=model_options,
            device=device,
            slice_index=slice_index,
            execution=execution,
            on_progress=on_progress,
        )
    records = read_run(out)
    failed = [record for record in records if record.status == "failed"]
    if not quiet:
        click.echo(
            f"{counted(done.num_samples, 'sample')} in {done.seconds:.0f} s: "
            f"{counted(done.num_objects, 'object')} explained, {done.num_failed} failed. {out} now "
            f"holds {counted(len(records) - len(failed), 'explained object')} and "
            f"{counted(len(failed), 'failure')}."
        )
        if note := _left_out(out, classes):
            click.echo(note)
        for record in failed[:5]:
            click.echo(f"  {record.key}: {record.reason}")
    if failed:
        ctx.exit(1)


def _left_out(out: str, classes: tuple[str, ...]) -> str:
    """That class 0 was left out although its name is none of a background; empty if it was not."""
    from misure.models.background import is_named_background
    from misure.runs.folder import RunFolder

    settings = RunFolder(out).settings()
    name = settings.class_names[0] if settings.class_names else ""
    if classes or settings.model_settings.get("multilabel") or is_named_background(name):
        return ""
    return (
        f"Class 0 ({name}) was left out, as it is the background of most networks; name all "
        "classes with --class to explain it too."
    )
