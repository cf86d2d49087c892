"""Training a network on a data set, from the word for it to a folder with a model card."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from misure._util.files import durable_file, write_text
from misure._util.seeds import seed_device
from misure._version import __version__
from misure.datasets.sample import Dataset, case_of
from misure.datasets.triangle.dataset import TriangleDataset
from misure.errors import InputError
from misure.explanation.probe import OnStep
from misure.lab.training.card import load_history, save_card
from misure.lab.training.fit import FitSettings, History, fit
from misure.lab.training.inspect import describe
from misure.lab.training.minibatches import Batches
from misure.lab.training.recipes import TrainingRecipe, recipe_of
from misure.lab.training.score import class_dices, disc_dices, distractor_fraction, mean_dice
from misure.models.device import choose_device
from misure.models.model import SegmentationModel
from misure.models.networks.registry import NETWORKS, NetworkKind
from misure.models.networks.trained_network import TrainedNetwork, load_trained, save_trained


@dataclass(frozen=True, eq=False)
class TrainedResult:
    """What came out.

    Attributes:
        net: in evaluation mode.
        about: what its file tells, the Dice on the test part among it.
        history: losses and validations.
    """

    net: nn.Module
    about: TrainedNetwork
    history: History


def train(
    dataset: str,
    *,
    network: str = "unet",
    num_steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    validate_every: int = 100,
    patience: int = 10,
    seed: int = 0,
    device: str = "auto",
    out: str | Path | None = None,
    on_step: OnStep | None = None,
) -> TrainedResult:
    """Trains a network, and measures it on cases it has not seen.

    Args:
        dataset: see `recipe_of`.
        network: name in `NETWORKS`.
        num_steps, batch_size, learning_rate: None: what the recipe and the network suggest.
        validate_every, patience: see `FitSettings`.
        seed: of everything.
        device: see `load_model`.
        out: folder for `model.safetensors`, `card.md`, `card.json`, `history.csv`, `curve.png` and
            `test.txt` (who is in the test part); a checkpoint in it lets the same call go on where
            it was killed, and what is finished is not trained again. None: nothing is written.
        on_step: told of every step.

    Raises:
        InputError: an unknown data set or network, or a folder of training with other settings.
        MissingDependencyError: MONAI or a reader is missing.
    """
    kind = _kind(network, learning_rate)
    place = choose_device(device)
    recipe = recipe_of(dataset, num_steps=num_steps, seed=seed)
    _check_parts(recipe)
    about = describe(recipe, network)
    settings = FitSettings(
        num_steps or recipe.num_steps,
        learning_rate or kind.learning_rate,
        validate_every=validate_every,
        patience=patience,
        seed=seed,
    )
    batch_size = batch_size or recipe.batch_size
    told = {"dataset": dataset, "batch_size": batch_size, **asdict(settings)}
    folder = None if out is None else _folder(Path(out))
    if folder is not None and (finished := _finished(folder, about, told, place)):
        return finished
    net = _build(about, seed, place)
    batches = Batches(
        recipe.train,
        batch_size,
        about.input_size,
        seed,
        recipe.augment,
        about.mean or (0.0,),
    )

    def model_of(trained: nn.Module) -> SegmentationModel:
        return SegmentationModel(trained, name=network, **about.model_settings())

    history = fit(
        net,
        batches,
        lambda trained: mean_dice(model_of(trained), recipe.validation),
        settings,
        identity={
            "dataset": dataset,
            "batch_size": batch_size,
            "about": msgspec.structs.asdict(about),
        },
        device=place,
        to_input=model_of(net).preprocessing.to_input,
        checkpoint=folder / "checkpoint.pt" if folder else None,
        on_step=on_step,
    )
    values = {
        "data": recipe.source,
        **told,
        **_split(recipe),
        "stopped_after": history.steps[-1],
        "stopped_by": history.stopped_by,
        **_test(model_of(net), recipe.test),
        **_circumstances(net),
    }
    made = TrainedResult(net, msgspec.structs.replace(about, values=values), history)
    if folder is not None:
        _save(made, recipe.test, folder)
    return made


def _kind(network: str, learning_rate: float | None) -> NetworkKind:
    """What is trained, checked together with how fast."""
    if network not in NETWORKS:
        raise InputError(f"train: expected a network among {', '.join(NETWORKS)}, got {network!r}.")
    if learning_rate is not None and not 0 < learning_rate < inf:
        raise InputError(f"train: expected a learning rate above 0, got {learning_rate}.")
    return NETWORKS[network]


def _circumstances(net: nn.Module) -> dict[str, Any]:
    return {
        "num_parameters": sum(one.numel() for one in net.parameters()),
        "date": datetime.now(UTC).date().isoformat(),
        "misure_version": __version__,
        "torch_version": str(torch.__version__),
    }


def _save(made: TrainedResult, test: Dataset, folder: Path) -> None:
    """Writes all there is to tell, last what says that it is finished; the checkpoint goes."""
    save_card(made.about, made.history, folder)
    _write_list(folder / "test.txt", test)
    with durable_file(folder / "model.safetensors") as unfinished:
        save_trained(made.net, made.about, unfinished)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _build(about: TrainedNetwork, seed: int, device: torch.device) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        seed_device(torch.device("cpu"), seed)
        return about.build().to(device)


def _split(recipe: TrainingRecipe) -> dict[str, Any]:
    """Who is in which part; of samples that are made on demand only how many."""
    parts = {"train": recipe.train, "validation": recipe.validation, "test": recipe.test}
    told: dict[str, Any] = {}
    for name, part in parts.items():
        cases = sorted({case_of(key) for key in part.keys})
        told[f"num_{name}"] = len(part.keys)
        told[f"{name}_cases"] = len(cases) if isinstance(part, TriangleDataset) else cases
    return told


def _write_list(path: Path, part: Dataset) -> None:
    """The cases of a part, one a line: `nifti:IMAGES,LABELS,test.txt` opens only these."""
    cases = dict.fromkeys(key if "/" not in key else case_of(key) for key in part.keys)
    write_text(path, "".join(f"{one}\n" for one in cases))


def _test(model: SegmentationModel, test: Dataset) -> dict[str, Any]:
    dices = {name: round(figure, 4) for name, figure in class_dices(model, test).items()}
    values: dict[str, Any] = {
        "test_dice": dices,
        "mean_test_dice": round(sum(dices.values()) / max(1, len(dices)), 4),
    }
    if isinstance(test, TriangleDataset):
        values["distractor_fraction"] = round(distractor_fraction(model, test), 4)
        if test.disc:
            for name, dice in disc_dices(model, test).items():
                values[name] = round(dice, 4)
    return values


def _check_parts(recipe: TrainingRecipe) -> None:
    parts = [
        {case_of(key) for key in part.keys}
        for part in (recipe.train, recipe.validation, recipe.test)
    ]
    shared = parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    if shared:
        raise InputError(
            f"train: expected different cases to train, validate and test on, {min(shared)} is in "
            "two of these parts."
        )


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise InputError(f"train: expected a folder to write to, {path} is a file. Name another.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"train: expected a folder that can be made, got {path}: {error}."
        ) from error
    return path


def _finished(
    folder: Path, about: TrainedNetwork, told: dict[str, Any], device: torch.device
) -> TrainedResult | None:
    """What the same call made before; None where there is nothing yet.

    Raises:
        InputError: the folder holds a network that was trained on other data or otherwise.
    """
    if not (folder / "model.safetensors").exists():
        return None
    net, there = load_trained(folder / "model.safetensors")
    values = there.values
    before = {**_fields(there), **{key: values.get(key) for key in told}}
    changed = [
        f"{key} {before[key]} there, {value} now"
        for key, value in {**_fields(about), **told}.items()
        if before[key] != value
    ]
    if changed:
        raise InputError(
            f"train: expected a folder without another network, {folder} holds one with other "
            f"settings: {'; '.join(changed)}. Name another folder with --out."
        )
    return TrainedResult(net.to(device), there, load_history(folder, values["stopped_by"]))


def _fields(about: TrainedNetwork) -> dict[str, Any]:
    """What is known of a network before it is trained."""
    return msgspec.structs.asdict(msgspec.structs.replace(about, values={}))
