"""The training loop: AdamW with a one-cycle schedule on cross-entropy + Dice.

The same seed gives the same weights on a CPU, killed and gone on with or not.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from msgspec import field, structs
from torch import Tensor, nn

from misure._util.files import durable_file
from misure._util.optional import require
from misure._util.progress import OnStep
from misure._util.records import Record, decode, encode, plain, settings_difference
from misure._util.seeds import seed_device
from misure._version import __version__
from misure.errors import InputError
from misure.lab.training.minibatches import Batches
from misure.models.networks.trained_network import TrainedNetwork


class FitSettings(Record, frozen=True, kw_only=True):
    """How a network is trained.

    Attributes:
        num_steps: at most this many steps.
        learning_rate: the highest, reached after a tenth of the steps.
        weight_decay: of AdamW.
        validate_every: steps between two validations.
        patience: validations without an improvement before training stops.
        seed: of weights, order and augmentation.
    """

    num_steps: int
    learning_rate: float
    weight_decay: float = 1e-4
    validate_every: int = 100
    patience: int = 10
    seed: int = 0


class History(Record, frozen=True, kw_only=True):
    """The course of a training: one entry per validation.

    Attributes:
        steps: number of steps before each validation.
        losses: mean loss since the validation before.
        dices: value of each validation.
        stopped_by: `end` or `patience`.
    """

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    dices: list[float] = field(default_factory=list)
    stopped_by: str = "end"

    def since_best(self) -> int:
        """Validations since the best one; 0 if the last is the best."""
        return len(self.dices) - 1 - self.dices.index(max(self.dices))


class CheckpointSettings(FitSettings, frozen=True, kw_only=True):
    """What must be as it was for training to continue from a checkpoint.

    Attributes:
        dataset: spec of the data set.
        num_samples: in its training part.
        batch_size: samples per step.
        network: what is trained.
    """

    dataset: str
    num_samples: int
    batch_size: int
    network: TrainedNetwork | None


class Checkpoint(Record, frozen=True, kw_only=True):
    """What a checkpoint holds besides tensors.

    Attributes:
        misure_version: that wrote it.
        settings: it was begun with.
        step: number of steps done.
        history: up to that step.
    """

    misure_version: str
    settings: CheckpointSettings
    step: int
    history: History


def fit(
    net: nn.Module,
    batches: Batches,
    validate: Callable[[nn.Module], float],
    settings: FitSettings,
    *,
    device: torch.device,
    dataset: str = "",
    network: TrainedNetwork | None = None,
    to_input: Callable[[Tensor], Tensor] = lambda images: images,
    checkpoint: Path | None = None,
    on_step: OnStep | None = None,
) -> History:
    """Trains a network in place; it ends in evaluation mode with the weights that validated best.

    On a GPU it trains in mixed precision. The random state of torch is left as it was.

    Args:
        net: on the device.
        batches: to train on.
        validate: from the network to a value, larger is better.
        settings: how to train.
        device: where to train.
        dataset: spec of the data set, for the checkpoint.
        network: what is trained, for the checkpoint.
        to_input: from images (N, C, *spatial) to what the network takes.
        checkpoint: file, updated at each validation; if it exists, training continues from it.
        on_step: called after every step.

    Raises:
        InputError: a checkpoint with other settings, or a damaged one.
    """
    identity = CheckpointSettings(
        **structs.asdict(settings),
        dataset=dataset,
        num_samples=len(batches.dataset.keys),
        batch_size=batches.batch_size,
        network=network,
    )
    state = _State(net, identity, device)
    if checkpoint is not None and checkpoint.exists():
        state.load(checkpoint)
    loss_of = _loss()
    total = torch.zeros((), device=device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        while state.step < settings.num_steps and state.history.stopped_by != "patience":
            seed_device(device, settings.seed * 1_000_003 + state.step)
            images, annotations = (tensor.to(device) for tensor in batches(state.step))
            net.train()
            with torch.autocast(device.type, enabled=device.type == "cuda"):
                logits = net(to_input(images))
                loss = loss_of(logits, annotations[:, None])
            state.learn(loss)
            total += loss.detach()
            if on_step:
                on_step("training", state.step, settings.num_steps)
            if state.step % settings.validate_every == 0 or state.step == settings.num_steps:
                net.eval()
                num_steps = state.step - (state.history.steps or [0])[-1]
                state.add_validation(float(total) / num_steps, validate(net))
                total.zero_()
                if checkpoint is not None:
                    state.save(checkpoint)
    net.load_state_dict(state.best)
    net.eval()
    return state.history


def _loss() -> Callable[[Tensor, Tensor], Tensor]:
    losses = require("monai.losses", extra="train", purpose="train networks")
    made: Callable[[Tensor, Tensor], Tensor] = losses.DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True
    )
    return made


class _State:
    """Everything that training needs to continue."""

    def __init__(self, net: nn.Module, settings: CheckpointSettings, device: torch.device) -> None:
        self.net, self.settings = net, settings
        self.optimizer = torch.optim.AdamW(
            net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            settings.learning_rate,
            total_steps=max(2, settings.num_steps),
            pct_start=0.1,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
        self.step = 0
        self.best = copy.deepcopy(net.state_dict())
        self.history = History()

    def learn(self, loss: Tensor) -> None:
        """One step against the gradient."""
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.step += 1

    def add_validation(self, loss: float, dice: float) -> None:
        """Adds a validation to the history, and keeps the weights if they are the best so far."""
        before = self.history
        if not before.dices or dice > max(before.dices):
            self.best = copy.deepcopy(self.net.state_dict())
        history = History(
            steps=[*before.steps, self.step],
            losses=[*before.losses, loss],
            dices=[*before.dices, dice],
        )
        if history.since_best() >= self.settings.patience:
            history = structs.replace(history, stopped_by="patience")
        self.history = history

    def save(self, path: Path) -> None:
        """Writes everything, at once or not at all."""
        checkpoint = Checkpoint(
            misure_version=__version__,
            settings=self.settings,
            step=self.step,
            history=self.history,
        )
        content = {
            "checkpoint": encode(checkpoint).decode(),
            "net": self.net.state_dict(),
            "best": self.best,
            **{name: getattr(self, name).state_dict() for name in _STATEFUL},
        }
        with durable_file(path) as unfinished:
            torch.save(content, unfinished)

    def load(self, path: Path) -> None:
        """Takes everything back from a file.

        Raises:
            InputError: a damaged file, one of another version, or one with other settings.
        """
        content = _content(path)
        what = f"a checkpoint of misure in {path}"
        checkpoint = decode(content["checkpoint"], Checkpoint, what)
        before, now = _by_name(checkpoint.settings), _by_name(self.settings)
        if changes := settings_difference(before, now):
            raise InputError(
                f"expected the settings that {path} was begun with, got others: {changes}. Name "
                "another folder, or remove the file to begin anew."
            )
        try:
            self.net.load_state_dict(content["net"])
            for name in _STATEFUL:
                getattr(self, name).load_state_dict(content[name])
            self.best = content["best"]
        except Exception as error:  # damaged files raise many kinds
            raise _damaged(path, error) from error
        self.step, self.history = checkpoint.step, checkpoint.history


_STATEFUL = ("optimizer", "schedule", "scaler")


def _content(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, as `_State.save` arranges it."""
    try:
        content = dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # damaged files raise many kinds
        raise _damaged(path, error) from error
    if "checkpoint" not in content:
        raise InputError(
            f"expected a checkpoint of this version of misure, got {path}, which was written by "
            "misure 0.1.0 or by another program. Remove it to begin anew."
        )
    return content


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(
        f"expected a checkpoint of misure, but {path} cannot be used: {reason} Remove it to begin "
        "anew."
    )


def _by_name(settings: CheckpointSettings) -> dict[str, Any]:
    """The settings with those of the network beside the others, as plain values."""
    values = plain(settings)
    return {**values, **(values.pop("network") or {})}
