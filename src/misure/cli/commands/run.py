"""`misure run`."""

from typing import Any

import click

from misure.cli.commands.option_values import names, part_of, settings
from misure.cli.commands.options import SEED, quiet_option, with_model
from misure.cli.terminal import run_progress


@click.command(name="run")
@click.argument("source")
@with_model()
@click.option(
    "--classes",
    callback=names,
    default="all",
    show_default=True,
    help="Names or numbers with commas; all is all but class 0.",
)
@click.option("--instances", is_flag=True, help="Each connected object by itself.")
@click.option(
    "--min-area", default=0.001, show_default=True, help="Smallest object, part of the image."
)
@click.option("--method", default="misure", show_default=True, help="Any of misure.METHODS.")
@click.option(
    "--method-option",
    "method_options",
    multiple=True,
    callback=settings,
    metavar="KEY=VALUE",
    help="An option of the method, e.g. max_passes=60.",
)
@click.option("--dice-threshold", default=0.9, show_default=True, help="When it counts as kept.")
@click.option(
    "--test-time-augmentation",
    is_flag=True,
    help="Also look whether slightly changed images give the same (4 passes each).",
)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Processes here, or actors on a Ray cluster.",
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each worker (CPU)."
)
@click.option("--address", help="Of the Ray cluster, e.g. auto.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many samples.")
@click.option(
    "--shard",
    callback=part_of,
    metavar="I/N",
    help="Only every N-th sample, from the I-th on (from 0).  [default: RANK/WORLD_SIZE]",
)
@click.option("--retry-failed", is_flag=True, help="Explain samples with failed objects once more.")
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
    classes: list[str],
    instances: bool,
    min_area: float,
    method: str,
    method_options: dict[str, Any],
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
    """Explain every object in a folder of images, a list of paths or a data set (coco:FOLDER ...).

    The same command goes on where it stopped, with any number of workers. The exit code is 1 where
    something failed.
    """
    from misure.runs.run import read_run, run, shard_of_environment

    with run_progress(quiet) as on_progress:
        done = run(
            source,
            model=spec,
            out=out,
            classes=[] if classes == ["all"] else classes,
            instances=instances,
            min_area=min_area,
            method=method,
            method_options=method_options,
            dice_threshold=dice_threshold,
            test_time_augmentation=test_time_augmentation,
            seed=seed,
            model_options=model_options,
            device=device,
            slice_index=slice_index,
            engine=engine,
            num_workers=workers,
            num_threads=threads,
            address=address,
            limit=limit,
            shard=shard or shard_of_environment(),
            retry_failed=retry_failed,
            on_progress=on_progress,
        )
    records = read_run(out)
    failed = [record for record in records if record.status == "failed"]
    if not quiet:
        click.echo(
            f"{done.num_samples} samples in {done.seconds:.0f} s: {done.num_objects} objects done, "
            f"{done.num_failed} failed. {out} holds {len(records) - len(failed)} objects done and "
            f"{len(failed)} failed."
        )
        for record in failed[:5]:
            click.echo(f"  {record.key}: {record.reason}")
    if failed:
        ctx.exit(1)
