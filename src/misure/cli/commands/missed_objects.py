"""`misure missed`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from misure._util.words import counted, share
from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import names_of_all, settings
from misure.cli.commands.options import (
    complete_path,
    force_option,
    load_model_and_reading,
    out_option,
    quiet_option,
    seed_option,
    with_model,
    with_search,
)
from misure.cli.terminal import progress, say, table
from misure.errors import InputError

if TYPE_CHECKING:
    from misure.explanation.answers.hidden import HiddenRegion, HiddenRegionRecord
    from misure.explanation.answers.missed_objects import MissedObject

_FILES = ("blocking.json", "blocking.npz", "blocking.png")


@click.command(cls=FilledCommand)
@click.argument("source", shell_complete=complete_path)
@with_model()
@click.option(
    "--class",
    "classes",
    multiple=True,
    callback=names_of_all,
    metavar="NAME|INDEX",
    help="Classes whose objects are looked for: repeated, or with commas.  [default: all but the "
    "background]",
)
@click.option(
    "--min-area",
    default=0.01,
    show_default=True,
    help="Area of the smallest object, as a fraction of the image.",
)
@click.option(
    "--max-dice",
    default=0.1,
    show_default=True,
    help="Dice with what the network draws on it up to which an object counts as missed.",
)
@click.option(
    "--drawn-dice",
    default=0.7,
    show_default=True,
    help="Dice from which it counts as drawn when the region is hidden.",
)
@with_search
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=settings,
    metavar="KEY=VALUE",
    help="Any other option of the preset; `misure presets -v` lists them.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N objects.", metavar="N")
@seed_option
@out_option("Folder to write to: one folder for each object.", "missed")
@force_option
@quiet_option
def missed(
    source: str,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    classes: tuple[str, ...],
    min_area: float,
    max_dice: float,
    drawn_dice: float,
    search: dict[str, Any],
    options: dict[str, Any],
    limit: int | None,
    seed: int,
    out: Path,
    force: bool,
    quiet: bool,
) -> None:
    """What stands in the way of the annotated objects that the network misses.

    SOURCE is a data set with annotations: {datasets}.

    For each object of which the network draws next to nothing, the smallest region is looked for
    that, hidden, makes the network draw it. The same command goes on where it stopped.
    """
    from misure._util.folders import is_written_by, writing_folder
    from misure.datasets import open_dataset
    from misure.explanation.answers.hidden import hidden_sentence
    from misure.explanation.answers.hide import blocking_region
    from misure.explanation.answers.missed_objects import missed_objects

    model, reading = load_model_and_reading(spec, model_options, device, slice_index, image_options)
    dataset, rows, names = open_dataset(source, reading), list[list[str]](), set[str]()
    made_with = {
        "source": source, "model": spec, "model_options": model_options,
        "image_options": image_options, "slice_index": slice_index, "seed": seed,
        "drawn_dice": drawn_dice, "options": search | options,
    }  # fmt: skip
    found_objects = missed_objects(
        model, dataset, classes=classes, min_area=min_area, max_dice=max_dice
    )
    for number, one in enumerate(found_objects):
        if number == limit:
            break
        folder, own = out / _folder_name(one.key, names), made_with | {"object": one.key}
        if not is_written_by(folder, "missed", own):
            writing = writing_folder(
                folder, command="missed", settings=own, force=force, names=_FILES
            )
            with writing as unfinished, progress(quiet) as on_step:
                hidden = blocking_region(
                    model,
                    one.sample.image,
                    one.target,
                    drawn_dice=drawn_dice,
                    seed=seed,
                    spacing_mm=one.sample.spacing_mm,
                    on_step=on_step,
                    **search,
                    **options,
                )
                _save(hidden, one, unfinished)
        record = _read(folder)
        rows.append(_row(one, record))
        if not quiet:
            say(f"{one.key}: {hidden_sentence(record)}")
    if quiet:
        return
    if rows:
        say()
        say(table(_HEADER, rows))
    num_found = sum(row[-1] != "-" for row in rows)
    say(
        f"\n{counted(len(rows), 'missed object')}, something in the way of {num_found}; see {out}"
        if rows
        else f"The network misses no object of {source} that covers {share(min_area)} or more."
    )


_HEADER = ["object", "area", "Dice", "Dice when hidden", "hidden"]


def _row(one: "MissedObject", record: "HiddenRegionRecord") -> list[str]:
    area = share(float(one.target.region.float().mean()))
    before = f"{record.dice_with_nothing_hidden:.2f}"
    if record.dice is None:
        return [one.key, area, before, "-", "-"]
    return [one.key, area, before, f"{record.dice:.2f}", share(record.area_fraction)]


def _folder_name(key: str, names: set[str]) -> str:
    """A name that every file system takes, another for each object."""
    plain = re.sub(r"[^\w.-]+", "-", key).strip("-.") or "object"
    name, number = plain, 2
    while name in names:
        name, number = f"{plain}-{number}", number + 1
    names.add(name)
    return name


def _save(hidden: "HiddenRegion", one: "MissedObject", folder: Path) -> None:
    from misure.explanation.presentation import presentation_of
    from misure.reports.folders import save_hidden

    model = one.segmentation.model
    presentation = presentation_of(model, one.sample.image.to(model.device), hidden.values)
    save_hidden(
        hidden.with_values(image=one.sample.key),
        "blocking",
        model,
        presentation,
        folder,
        order=one.sample.order,
    )


def _read(folder: Path) -> "HiddenRegionRecord":
    from misure._util.records import decode
    from misure.explanation.answers.hidden import HiddenRegionRecord

    path = folder / "blocking.json"
    try:
        return decode(path.read_bytes(), HiddenRegionRecord, str(path))
    except OSError as error:
        raise InputError(f"expected {path}, got {error.strerror}. Remove the folder.") from error
