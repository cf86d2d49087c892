"""The model card of a trained network, and its curve."""

import csv
import json
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from misure._util.files import durable_file, write_text
from misure._util.records import Record, convert, unusable
from misure._util.records import plain as to_plain
from misure._util.tables import markdown_table, plain, write_csv_file
from misure.lab.training.fit import FitSettings, History
from misure.models.networks.registry import NETWORKS
from misure.models.networks.trained_network import TrainedNetwork
from misure.reports.canvas import Figure


class TrainingCard(FitSettings, frozen=True, kw_only=True):
    """How a network was trained and how good it is: `values` of its file and of `card.json`.

    Attributes:
        data: what the data are.
        dataset: spec of the data set.
        batch_size: samples per step.
        num_train, num_validation, num_test: samples of each part.
        train_cases, validation_cases, test_cases: the cases of each part; of samples that are
            generated only their number.
        stopped_after: number of steps.
        stopped_by: `end` or `patience`.
        test_dice: class name -> Dice on the test part, in [0, 1], mean over cases.
        mean_test_dice: mean over classes.
        distractor_fraction: Triangle only: fraction of the distractor pixels that are segmented.
        dice_with_disc, dice_without_disc: Triangle with a disc only: see `disc_dices`.
        num_parameters: of the network.
        date: of the end of training, in UTC.
        misure_version, torch_version: that trained it.
    """

    data: str
    dataset: str
    batch_size: int
    num_train: int
    train_cases: int | list[str]
    num_validation: int
    validation_cases: int | list[str]
    num_test: int
    test_cases: int | list[str]
    stopped_after: int
    stopped_by: str
    test_dice: dict[str, float]
    mean_test_dice: float
    distractor_fraction: float | None = None
    dice_with_disc: float | None = None
    dice_without_disc: float | None = None
    num_parameters: int
    date: str
    misure_version: str
    torch_version: str


class HistoryRow(Record, frozen=True, kw_only=True):
    """A line of `history.csv`: see `History`."""

    step: int
    loss: float
    validation_dice: float


def card_of(about: TrainedNetwork, path: Path) -> TrainingCard:
    """The card that the file of a network holds.

    Args:
        about: what was read from the file.
        path: of the file, for the message.

    Raises:
        InputError: the file has no complete card.
    """
    return convert(about.values, TrainingCard, f"the card of a network trained by misure in {path}")


def save_card(about: TrainedNetwork, card: TrainingCard, history: History, folder: Path) -> None:
    """Writes `card.md`, `card.json`, `history.csv` and `curve.png`."""
    write_text(folder / "card.md", as_markdown(about, card))
    write_text(folder / "card.json", json.dumps(to_plain(about), indent=2) + "\n")
    write_csv_file(
        folder / "history.csv",
        HistoryRow.__struct_fields__,
        (
            {"step": step, "loss": loss, "validation_dice": dice}
            for step, loss, dice in zip(history.steps, history.losses, history.dices, strict=True)
        ),
    )
    with durable_file(folder / "curve.png") as unfinished:
        _curve(history).savefig(unfinished, format="png", dpi=120)


def load_history(folder: Path, stopped_by: str) -> History:
    """The history that `save_card` wrote to `history.csv`.

    Raises:
        InputError: it is missing or damaged.
    """
    path = folder / "history.csv"
    try:
        lines = path.read_text("utf-8").splitlines()
        rows = msgspec.convert([*csv.DictReader(lines)], list[HistoryRow], strict=False)
    except (OSError, ValueError) as error:
        raise unusable(f"the history of a trained network in {path}", error) from error
    return History(
        steps=[row.step for row in rows],
        losses=[row.loss for row in rows],
        dices=[row.validation_dice for row in rows],
        stopped_by=stopped_by,
    )


def as_markdown(about: TrainedNetwork, card: TrainingCard) -> str:
    """The card as Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("misure.lab.training"),
        autoescape=False,  # noqa: S701  Markdown, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md").render(
        about=about, card=card, classes=_class_table(card), source=NETWORKS[about.network].source
    )


def _class_table(card: TrainingCard) -> str:
    """The Dice of each class as a Markdown table."""
    dices = {**card.test_dice, "mean": card.mean_test_dice}
    rows = ([plain(name), f"{dice:.3f}"] for name, dice in dices.items())
    return "\n".join(markdown_table(["class", "Dice"], rows))


def _curve(history: History) -> Figure:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot(history.steps, history.losses, color="#56B4E9", label="training loss")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    dice_axes = axes.twinx()
    dice_axes.plot(history.steps, history.dices, color="#D55E00", label="validation Dice")
    dice_axes.set_ylim(0, 1)
    dice_axes.set_ylabel("Dice")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
