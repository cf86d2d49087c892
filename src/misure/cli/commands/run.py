"""`misure run`."""

from typing import TYPE_CHECKING, Any

import click

from misure._util.words import counted
from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import names_of_all, part_of, settings
from misure.cli.commands.options import (
    complete_path,
    dice_threshold_option,
    quiet_option,
    seed_option,
    with_model,
    with_search,
)
from misure.cli.terminal import run_progress, say
from misure.errors import printable

if TYPE_CHECKING:
    from misure.runs.record import RunSettings

_SHOWN_FAILURES = 5


@click.command(name="run", cls=FilledCommand)
@click.argument("source", shell_complete=complete_path)
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
    "--question",
    "questions",
    multiple=True,
    default=["sufficient"],
    callback=names_of_all,
    metavar="NAME",
    help="What else to answer about each object, with the method misure: necessary, surroundings, "
    "reasons, effects, channels, or all (but channels); repeated, or with commas. --max-passes is "
    "then for all of it together (250 unless given).",
)
@click.option(
    "--lost-dice",
    default=0.5,
    show_default=True,
    help="Dice down to which an object counts as lost.",
)
@click.option(
    "--robust",
    type=float,
    metavar="SHARE",
    help="Search for regions that suffice on at least this share of all baseline images, e.g. 0.9, "
    "and record how sure that is; needs the extra `inpaint`.",
)
@click.option(
    "--test-time-augmentation",
    is_flag=True,
    help="Also record whether slightly changed images are segmented the same (4 passes each).",
)
@click.option(
    "--thumbnail-px",
    type=click.IntRange(16, 8192),
    default=384,
    show_default=True,
    help="Longer side of the images that are kept for the report.",
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
@click.option(
    "--retry-changed",
    is_flag=True,
    help="Explain samples anew whose images have changed since, which is an error otherwise.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Write nothing: count images and objects, explain one sample, and say what the run takes.",
)
@click.option(
    "--out",
    required=True,
    shell_complete=complete_path,
    help="The run folder, or an address as s3://bucket/run.",
)
@quiet_option
@click.pass_context
def run(
    ctx: click.Context,
    source: str,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    classes: tuple[str, ...],
    instances: bool,
    min_area: float,
    method: str,
    search: dict[str, Any],
    options: dict[str, Any],
    dice_threshold: float,
    questions: tuple[str, ...],
    lost_dice: float,
    robust: float | None,
    test_time_augmentation: bool,
    thumbnail_px: int,
    seed: int,
    engine: str,
    workers: int,
    threads: int,
    address: str | None,
    limit: int | None,
    shard: tuple[int, int] | None,
    retry_failed: bool,
    retry_changed: bool,
    dry_run: bool,
    out: str,
    quiet: bool,
) -> None:
    """Explain every object in a folder of images, a list of paths or a data set.

    SOURCE is a folder, a text file with one path a line, or a data set: {datasets}.

    The same command goes on where it stopped, with any number of workers. The exit code is 1 if
    something failed.
    """
    from misure.cli.forecast_text import forecast_lines
    from misure.runs.execution import Execution, shard_of_environment
    from misure.runs.folder import RunFolder
    from misure.runs.forecast import forecast_run
    from misure.runs.plan import RunPlan
    from misure.runs.run import run

    options |= search
    plan = RunPlan(
        classes=classes,
        instances=instances,
        min_area=min_area,
        method=method,
        method_options=options,
        dice_threshold=dice_threshold,
        questions=questions,
        lost_dice=lost_dice,
        robust=robust,
        seed=seed,
        test_time_augmentation=test_time_augmentation,
        thumbnail_px=thumbnail_px,
    )
    execution = Execution(
        engine=engine,
        num_workers=workers,
        num_threads=threads,
        address=address,
        limit=limit,
        shard=shard or shard_of_environment(),
        retry_failed=retry_failed,
        retry_changed=retry_changed,
    )
    given: dict[str, Any] = {
        "model_options": model_options, "device": device, "slice_index": slice_index,
        "image_options": image_options, "execution": execution,
    }  # fmt: skip
    if dry_run:
        for line in forecast_lines(forecast_run(source, spec, out, plan, **given), out):
            say(line)
        return
    with run_progress(quiet) as on_progress:
        done = run(source, spec, out, plan, on_progress=on_progress, **given)
    folder = RunFolder(out)
    num_done, num_failed, first = 0, 0, []
    for record in folder.each_record():
        num_done += record.status == "done"
        if record.status == "failed":
            num_failed += 1
            first += [f"  {record.key}: {record.reason}"] * (num_failed <= _SHOWN_FAILURES)
    if not quiet:
        say(
            f"{counted(done.num_samples, 'sample')} in {done.seconds:.0f} s: "
            f"{counted(done.num_objects, 'object')} explained, {done.num_failed} failed. {out} now "
            f"holds {counted(num_done, 'explained object')} and {counted(num_failed, 'failure')}."
        )
        for line in [*first, *_left_out(folder.settings())]:
            say(printable(line))
    if num_failed:
        ctx.exit(1)


def _left_out(settings: "RunSettings") -> list[str]:
    """The line that names the class which a run left out, unless its name is a background's."""
    from misure.models.background import is_named_background

    name = settings.class_names[0] if settings.class_names else ""
    is_all = settings.classes or settings.model_settings.get("multilabel")
    if is_all or is_named_background(name):
        return []
    return [f"Class 0 ({name}) was left out, as the background is; --class 0 explains it."]
