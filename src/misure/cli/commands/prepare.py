"""`misure prepare`."""

from pathlib import Path

import click

from misure._util.words import counted
from misure.cli.commands.option_values import names
from misure.cli.commands.options import force_option, quiet_option, seed_option
from misure.cli.terminal import say


@click.group()
def prepare() -> None:
    """Prepare data sets: synapse from its raw files, or a phantom of it."""


@prepare.command()
@click.argument("raw")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    default="btcv",
    show_default=True,
    help="Numbers of the labels: btcv, totalsegmentator (version 2), or NUMBER=CLASS with commas.",
)
@click.option(
    "--test",
    callback=names,
    metavar="0001,0002",
    help="Cases for testing, all others for training.  [default: the published split]",
)
@force_option
@quiet_option
def synapse(
    raw: str, out: Path, labels: str, test: list[str] | None, force: bool, quiet: bool
) -> None:
    """Prepare the Synapse multi-organ CT: RAW is a folder of NIfTI files, or IMAGE,LABELS.

    Cases that are already in OUT are kept. If it is interrupted, the same command continues.
    """
    _refuse_foreign(out, force)
    _prepare(raw, out, labels, test, quiet)


@prepare.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--cases", default=10, show_default=True, help="Number of phantoms, at most 30.")
@click.option(
    "--size", default=128, show_default=True, help="Rows and columns of a slice, in pixels."
)
@click.option("--slices", default=40, show_default=True, help="Slices of a volume.")
@seed_option
@click.option("--raw-only", is_flag=True, help="Write only OUT/raw.")
@force_option
@quiet_option
def phantom(
    out: Path,
    cases: int,
    size: int,
    slices: int,
    seed: int,
    raw_only: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Generate abdomens in the format of the Synapse files: OUT/raw, and OUT prepared from them."""
    from misure.datasets.synapse.phantom_files import write_phantoms

    _refuse_foreign(out, force)
    raw = out / "raw"
    write_phantoms(raw, cases, size_px=size, num_slices=slices, seed=seed)
    if not quiet:
        say(f"{raw}: {cases} phantoms, no patients")
    if not raw_only:
        _prepare(str(raw), out, "btcv", None, quiet)


def _refuse_foreign(out: Path, force: bool) -> None:
    from misure._util.folders import refuse_foreign_folder
    from misure.datasets.synapse.dataset import TEST_FOLDER, TRAIN_FOLDER
    from misure.datasets.synapse.raw import PHANTOM_NOTE
    from misure.datasets.synapse.record import RECORD_NAME

    own = (RECORD_NAME, PHANTOM_NOTE, f"raw/{PHANTOM_NOTE}", TEST_FOLDER, TRAIN_FOLDER)
    refuse_foreign_folder(out, own, force=force)


def _prepare(raw: str, out: Path, labels: str, test: list[str] | None, quiet: bool) -> None:
    from misure.datasets.synapse.prepare import prepare_synapse

    def on_case(case: str) -> None:
        if not quiet:
            say(f"{case} ...", err=True)

    done = prepare_synapse(raw, out, labels=labels, test=test, on_case=on_case)
    if quiet:
        return
    splits = [entry.split for entry in done.cases.values()]
    say(
        f"{out}: {counted(splits.count('train'), 'case')} for training, {splits.count('test')} "
        f"for testing"
        f"{' (PHANTOM)' if done.is_phantom else ''}; {done.num_kept} were there already"
    )
    if done.replaced:
        say(f"Made again, as their raw files have changed: {', '.join(done.replaced)}.")
    if done.unknown:
        say(
            f"Not in the published split, so for testing: {', '.join(done.unknown)}. "
            "Use --test to choose."
        )
