"""Training a network on a data set, from its spec to a folder with a model card."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import torch
from msgspec import structs
from torch import nn

from misure._util.files import durable_file, write_text
from misure._util.progress import OnStep
from misure._util.records import plain, settings_difference
from misure._util.seeds import seed_device
from misure._util.suggestions import did_you_mean
from misure._version import __version__
from misure.datasets.sample import Dataset, case_of
from misure.datasets.triangle.dataset import TriangleDataset
from misure.errors import InputError, entrance
from misure.lab.training.card import TrainingCard, card_of, load_history, save_card
from misure.lab.training.fit import FitSettings, History, fit
from misure.lab.training.inspect import describe_network
from misure.lab.training.minibatches import Batches
from misure.lab.training.recipes import TrainingRecipe, recipe_of
from misure.lab.training.score import class_dices, disc_dices, distractor_fraction, mean_dice
from misure.models.device import choose_device
from misure.models.model import SegmentationModel
from misure.models.networks.registry import NETWORKS, NetworkKind
from misure.models.networks.trained_network import TrainedNetwork, load_trained, save_trained


@dataclass(frozen=True, eq=False)
class TrainedResult:
    """A trained network, with all that was measured.

    Attributes:
        net: in evaluation mode.
        about: what its file says of it.
        card: how it was trained, and its Dice on the test part.
        history: losses and validations.
    """

    net: nn.Module
    about: TrainedNetwork
    card: TrainingCard
    history: History


@entrance("train")
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
    """Trains a network, and tests it on cases it has not seen.

    Args:
        dataset: spec of a data set: `triangle`, `triangle-disc`, `synapse:FOLDER` or
            `nifti:IMAGES,LABELS`.
        network: name in `NETWORKS`.
        num_steps: at most this many steps; None: as the data set suggests.
        batch_size: samples per step; None: as the data set suggests.
        learning_rate: the highest; None: as the network suggests.
        validate_every: steps between two validations.
        patience: validations without an improvement before training stops.
        seed: of samples, split, weights, order and augmentation.
        device: `auto`, `cpu`, `cuda`, `cuda:1` ...
        out: folder for `model.safetensors`, `card.md`, `card.json`, `history.csv`, `curve.png` and
            `test.txt` (the cases of the test part); with a checkpoint in it, the same call
            continues where it was killed, and a finished network is not trained again. None:
            nothing is written.
        on_step: called after every step.

    Raises:
        InputError: an unknown data set or network, or a folder of training with other settings.
        MissingDependencyError: MONAI or a reader is missing.
    """
    kind = _kind(network, learning_rate)
    chosen_device = choose_device(device)
    recipe = recipe_of(dataset, num_steps=num_steps, seed=seed)
    _check_parts(recipe)
    training = _Training(
        dataset=dataset,
        recipe=recipe,
        about=describe_network(recipe, network),
        batch_size=batch_size or recipe.batch_size,
        settings=FitSettings(
            num_steps=num_steps or recipe.num_steps,
            learning_rate=learning_rate or kind.learning_rate,
            validate_every=validate_every,
            patience=patience,
            seed=seed,
        ),
        device=chosen_device,
        folder=None if out is None else _folder(Path(out)),
    )
    return training.finished() or training.run(on_step)


@dataclass(frozen=True, kw_only=True)
class _Training:
    """A training, prepared.

    Attributes:
        dataset: spec of the data set.
        recipe: its parts.
        about: the network to train.
        batch_size: samples per step.
        settings: of the training loop.
        device: to train on.
        folder: to write to; None: nothing is written.
    """

    dataset: str
    recipe: TrainingRecipe
    about: TrainedNetwork
    batch_size: int
    settings: FitSettings
    device: torch.device
    folder: Path | None

    def finished(self) -> TrainedResult | None:
        """The result that the same call wrote before; None if there is none yet.

        Raises:
            InputError: the folder holds a network that was trained on other data or otherwise.
        """
        if self.folder is None or not (self.folder / "model.safetensors").exists():
            return None
        path = self.folder / "model.safetensors"
        net, about = load_trained(path)
        card = card_of(about, path)
        names = {*FitSettings.__struct_fields__, "dataset", "batch_size"}
        before = {name: value for name, value in plain(card).items() if name in names}
        now = {**plain(self.settings), "dataset": self.dataset, "batch_size": self.batch_size}
        if changes := settings_difference(
            {**plain(structs.replace(about, values={})), **before}, {**plain(self.about), **now}
        ):
            raise InputError(
                f"expected a folder without another network, {self.folder} holds one with other "
                f"settings: {changes}. Name another folder with --out."
            )
        history = load_history(self.folder, card.stopped_by)
        return TrainedResult(net.to(self.device), about, card, history)

    def run(self, on_step: OnStep | None) -> TrainedResult:
        """Trains, tests and writes the result."""
        net = _build(self.about, self.settings.seed, self.device)
        history = self._fit(net, on_step)
        card = self._card(net, history)
        result = TrainedResult(net, structs.replace(self.about, values=plain(card)), card, history)
        if self.folder is not None:
            _save(result, self.recipe.test, self.folder)
        return result

    def _fit(self, net: nn.Module, on_step: OnStep | None) -> History:
        batches = Batches(
            dataset=self.recipe.train,
            batch_size=self.batch_size,
            size=self.about.input_size,
            seed=self.settings.seed,
            augment=self.recipe.augment,
            fill=self.about.mean or (0.0,),
        )
        return fit(
            net,
            batches,
            lambda net: mean_dice(_model(net, self.about), self.recipe.validation),
            self.settings,
            device=self.device,
            dataset=self.dataset,
            network=self.about,
            to_input=_model(net, self.about).preprocessing.to_input,
            checkpoint=self.folder / "checkpoint.pt" if self.folder else None,
            on_step=on_step,
        )

    def _card(self, net: nn.Module, history: History) -> TrainingCard:
        """How the network was trained, and how it does on the test part."""
        return TrainingCard(
            **plain(self.settings),
            data=self.recipe.source,
            dataset=self.dataset,
            batch_size=self.batch_size,
            **_split(self.recipe),
            stopped_after=history.steps[-1],
            stopped_by=history.stopped_by,
            **_test(_model(net, self.about), self.recipe.test),
            num_parameters=sum(tensor.numel() for tensor in net.parameters()),
            date=datetime.now(UTC).date().isoformat(),
            misure_version=__version__,
            torch_version=str(torch.__version__),
        )


def _model(net: nn.Module, about: TrainedNetwork) -> SegmentationModel:
    return SegmentationModel(net, name=about.network, **about.model_settings() | {"intensity": ""})


def _kind(network: str, learning_rate: float | None) -> NetworkKind:
    """The kind of network of a name; the learning rate is checked too."""
    if network not in NETWORKS:
        raise InputError(
            f"expected a network among {', '.join(NETWORKS)}, got {network!r}."
            f"{did_you_mean(network, NETWORKS)}"
        )
    if learning_rate is not None and not 0 < learning_rate < inf:
        raise InputError(f"expected a learning rate above 0, got {learning_rate}.")
    return NETWORKS[network]


def _save(result: TrainedResult, test: Dataset, folder: Path) -> None:
    """Writes the result, `model.safetensors` last, as it marks the end; removes the checkpoint."""
    save_card(result.about, result.card, result.history, folder)
    _write_list(folder / "test.txt", test)
    with durable_file(folder / "model.safetensors") as unfinished:
        save_trained(result.net, result.about, unfinished)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def _build(about: TrainedNetwork, seed: int, device: torch.device) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        seed_device(torch.device("cpu"), seed)
        return about.build().to(device)


def _split(recipe: TrainingRecipe) -> dict[str, Any]:
    """Samples and cases of each part, for the card; generated samples are only counted."""
    parts = {"train": recipe.train, "validation": recipe.validation, "test": recipe.test}
    fields: dict[str, Any] = {}
    for name, part in parts.items():
        cases = sorted({case_of(key) for key in part.keys})
        fields[f"num_{name}"] = len(part.keys)
        fields[f"{name}_cases"] = len(cases) if isinstance(part, TriangleDataset) else cases
    return fields


def _write_list(path: Path, part: Dataset) -> None:
    """The cases of a part, one per line: `nifti:IMAGES,LABELS,test.txt` opens only these."""
    cases = dict.fromkeys(key if "/" not in key else case_of(key) for key in part.keys)
    write_text(path, "".join(f"{case}\n" for case in cases))


def _test(model: SegmentationModel, test: Dataset) -> dict[str, Any]:
    """The fields of the card that are measured on the test part."""
    dices = {name: round(dice, 4) for name, dice in class_dices(model, test).items()}
    fields: dict[str, Any] = {
        "test_dice": dices,
        "mean_test_dice": round(sum(dices.values()) / max(1, len(dices)), 4),
    }
    if isinstance(test, TriangleDataset):
        fields["distractor_fraction"] = round(distractor_fraction(model, test), 4)
        if test.disc:
            for name, dice in disc_dices(model, test).items():
                fields[name] = round(dice, 4)
    return fields


def _check_parts(recipe: TrainingRecipe) -> None:
    """Raises an InputError if a case is in two parts."""
    parts = [
        {case_of(key) for key in part.keys}
        for part in (recipe.train, recipe.validation, recipe.test)
    ]
    shared = parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    if shared:
        raise InputError(
            f"expected different cases to train, validate and test on, {min(shared)} is in two of "
            "these parts."
        )


def _folder(path: Path) -> Path:
    """The folder, created if it does not exist."""
    if path.exists() and not path.is_dir():
        raise InputError(f"expected a folder to write to, {path} is a file. Name another.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"expected a folder that can be made, got {path}: {error}.") from error
    return path
