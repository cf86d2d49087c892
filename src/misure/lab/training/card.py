"""The model card of a trained network, and its curve."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from misure._util.files import durable_file, write_text
from misure._util.records import plain
from misure.errors import InputError
from misure.lab.training.fit import History
from misure.models.networks.registry import NETWORKS
from misure.models.networks.trained_network import TrainedNetwork


def save_card(about: TrainedNetwork, history: History, folder: Path) -> None:
    """Writes `card.md`, `card.json`, `history.csv` and `curve.png`."""
    write_text(folder / "card.md", as_markdown(about))
    write_text(folder / "card.json", json.dumps(plain(about), indent=2) + "\n")
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["step", "loss", "validation_dice"])
    writer.writerows(zip(history.steps, history.losses, history.dices, strict=True))
    write_text(folder / "history.csv", rows.getvalue())
    with durable_file(folder / "curve.png") as unfinished:
        _curve(history).savefig(unfinished, format="png", dpi=120)


def load_history(folder: Path, stopped_by: str) -> History:
    """What `save_card` wrote to `history.csv`.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        rows = list(csv.DictReader((folder / "history.csv").read_text("utf-8").splitlines()))
        steps = [int(row["step"]) for row in rows]
        losses = [float(row["loss"]) for row in rows]
        dices = [float(row["validation_dice"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"train: expected the history.csv of a finished network in {folder}, but it cannot be "
            f"used: {error}. Name another folder with --out."
        ) from error
    return History(steps, losses, dices, stopped_by)


def as_markdown(about: TrainedNetwork) -> str:
    """The card as Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("misure.lab.training"),
        autoescape=False,  # noqa: S701  Markdown, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md").render(
        about=about, told=about.values, source=NETWORKS[about.network].source
    )


def _curve(history: History) -> Figure:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot(history.steps, history.losses, color="#56B4E9", label="training loss")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    other = axes.twinx()
    other.plot(history.steps, history.dices, color="#D55E00", label="validation Dice")
    other.set_ylim(0, 1)
    other.set_ylabel("Dice")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
