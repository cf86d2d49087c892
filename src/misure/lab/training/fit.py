"""The training loop: AdamW with a one-cycle schedule on cross-entropy + Dice.

The same seed gives the same weights on a CPU, killed and gone on with or not.
"""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.files import durable_file
from misure._util.optional import require
from misure._util.seeds import seed_device
from misure.errors import InputError
from misure.explanation.probe import OnStep
from misure.lab.training.minibatches import Batches


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes:
        num_steps: at most so many.
        learning_rate: the highest, reached after a tenth of the steps.
        weight_decay: of AdamW.
        validate_every: steps between two validations.
        patience: validations without a better figure after which training stops.
        seed: of weights, order and augmentation.
    """

    num_steps: int
    learning_rate: float
    weight_decay: float = 1e-4
    validate_every: int = 100
    patience: int = 10
    seed: int = 0


@dataclass
class History:
    """What happened: one entry for each validation.

    Attributes:
        steps: after which step.
        losses: mean loss since the last one.
        dices: what the validation gave.
        stopped_by: `end` or `patience`.
    """

    steps: list[int]
    losses: list[float]
    dices: list[float]
    stopped_by: str = "end"


def fit(
    net: nn.Module,
    batches: Batches,
    validate: Callable[[nn.Module], float],
    settings: FitSettings,
    *,
    device: torch.device,
    identity: Mapping[str, Any] | None = None,
    to_input: Callable[[Tensor], Tensor] = lambda images: images,
    checkpoint: Path | None = None,
    on_step: OnStep | None = None,
) -> History:
    """Trains a network; it comes back in evaluation mode with the weights that validated best.

    On a GPU in mixed precision. The random state of torch is left as it was.

    Args:
        net: on the device.
        batches: what it learns from.
        validate: a figure of the network, larger is better.
        settings: how.
        device: where.
        identity: what else a checkpoint must agree in, as plain values.
        to_input: from images (N, C, *spatial) to what the network takes.
        checkpoint: kept up to date at each validation; where it is there, training goes on from it.
        on_step: told of every step.

    Raises:
        InputError: a checkpoint of training with other settings, or a damaged one.
    """
    told = {**asdict(settings), "num_samples": len(batches.dataset.keys), **(identity or {})}
    state = _State(net, settings, device, json.loads(json.dumps(told)))
    if checkpoint is not None and checkpoint.exists():
        state.load(checkpoint)
    loss_of = _loss()
    total = torch.zeros((), device=device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        while state.step < settings.num_steps and state.history.stopped_by != "patience":
            seed_device(device, settings.seed * 1_000_003 + state.step)
            images, annotations = (one.to(device) for one in batches(state.step))
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
                since = state.step - (state.history.steps or [0])[-1]
                state.remember(float(total) / since, validate(net))
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
    """All that training needs to go on."""

    def __init__(
        self,
        net: nn.Module,
        settings: FitSettings,
        device: torch.device,
        identity: dict[str, Any],
    ) -> None:
        self.net, self.settings = net, settings
        self._identity = identity
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
        self.history = History([], [], [])

    def learn(self, loss: Tensor) -> None:
        """One step against the gradient."""
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.step += 1

    def remember(self, loss: float, figure: float) -> None:
        """Keeps the weights where they are the best so far, and sees whether it is time to stop."""
        history = self.history
        if not history.dices or figure > max(history.dices):
            self.best = copy.deepcopy(self.net.state_dict())
        history.steps.append(self.step)
        history.losses.append(loss)
        history.dices.append(figure)
        since_best = len(history.dices) - 1 - history.dices.index(max(history.dices))
        if since_best >= self.settings.patience:
            history.stopped_by = "patience"

    def save(self, path: Path) -> None:
        """Writes everything, at once or not at all."""
        content = {
            "identity": self._identity,
            "step": self.step,
            "net": self.net.state_dict(),
            "best": self.best,
            "history": asdict(self.history),
            **{name: getattr(self, name).state_dict() for name in _PARTS},
        }
        with durable_file(path) as unfinished:
            torch.save(content, unfinished)

    def load(self, path: Path) -> None:
        """Takes everything back."""
        try:
            content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            identity = content["identity"]
            if identity == self._identity:
                self.net.load_state_dict(content["net"])
                for name in _PARTS:
                    getattr(self, name).load_state_dict(content[name])
                self.step, self.best = content["step"], content["best"]
                self.history = History(**content["history"])
                return
        except Exception as error:  # damaged files raise many kinds
            raise InputError(
                f"train: expected a checkpoint of misure, but {path} cannot be used: "
                f"{(str(error).splitlines() or [''])[0]} Remove it to begin anew."
            ) from error
        changed = [
            f"{key} {identity.get(key)} there, {value} now"
            for key, value in self._identity.items()
            if identity.get(key) != value
        ]
        raise InputError(
            f"train: expected the settings that {path} was begun with, got others: "
            f"{'; '.join(changed)}. Name another folder, or remove it to begin anew."
        )


_PARTS = ("optimizer", "schedule", "scaler")
