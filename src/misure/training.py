"""Training the network `triangle` on a CPU, in a few minutes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from misure.datasets.triangle import STROKE_GREY, TriangleDataset
from misure.device import seed_device
from misure.networks.triangle import build_triangle_network
from misure.region import dice
from misure.trial import OnStep

_BATCH = 16
_NUM_HELD_OUT = 300
_LEARNING_RATE = 4e-3


def train_triangle(
    *,
    num_steps: int = 1300,
    seed: int = 0,
    disc: bool = False,
    on_step: OnStep | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """A U-Net trained on Triangle, and the figures it reaches on held-out samples.

    AdamW with a one-cycle schedule on cross-entropy + soft Dice; 20 % of the training samples have
    no triangle. The random state of torch is left as it was.

    Args:
        num_steps: steps of 16 samples each.
        seed: of samples, weights and order.
        disc: the variant in which nothing is foreground without a disc.
        on_step: told of every step.

    Returns:
        The network in evaluation mode, and `{"num_steps", "seed", "disc", "foreground_dice",
        "distractor_fraction"}`; see `measure_triangle`.
    """
    samples = TriangleDataset(
        num_steps * _BATCH, seed=seed, split="train", disc=disc, empty_fraction=0.2
    )
    with torch.random.fork_rng(devices=[]):
        seed_device(torch.device("cpu"), seed)
        net = build_triangle_network()
        optimizer = torch.optim.AdamW(net.parameters(), lr=_LEARNING_RATE, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, _LEARNING_RATE, total_steps=num_steps, pct_start=0.1
        )
        batches = DataLoader(_Pairs(samples), batch_size=_BATCH)
        for step, (images, annotations) in enumerate(batches, start=1):
            loss = _loss(net(images), annotations)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if on_step:
                on_step("training", step, num_steps)
    net.eval()
    held_out = TriangleDataset(_NUM_HELD_OUT, seed=seed, split="test", disc=disc)
    settings = {"num_steps": num_steps, "seed": seed, "disc": disc}
    return net, settings | measure_triangle(net, held_out)


def measure_triangle(net: nn.Module, dataset: TriangleDataset) -> dict[str, float]:
    """How good a Triangle network is.

    Returns:
        `foreground_dice`: mean over samples of the Dice between predicted and annotated foreground
        (1 where both are empty). `distractor_fraction`: share of the pixels on distractors that are
        taken for foreground. Both in [0, 1].
    """
    dices: list[float] = []
    wrong = total = 0
    for sample in (dataset[i] for i in range(len(dataset))):
        with torch.no_grad():
            drawn = net(sample.image[None]).argmax(1)[0] == 1
        wanted = sample.annotation == 1
        dices.append(dice(drawn, wanted))
        distractors = (sample.image[0] > STROKE_GREY) & ~sample.relevance
        wrong += int((drawn & distractors).sum())
        total += int(distractors.sum())
    return {
        "foreground_dice": round(sum(dices) / len(dices), 4),
        "distractor_fraction": round(wrong / max(total, 1), 4),
    }


class _Pairs(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, samples: TriangleDataset) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self._samples[index]
        return sample.image, sample.annotation


def _loss(logits: Tensor, annotations: Tensor) -> Tensor:
    p = logits.softmax(1)[:, 1]
    overlap, size = (p * annotations).sum(), p.sum() + annotations.sum()
    return F.cross_entropy(logits, annotations) + 1 - (2 * overlap + 1) / (size + 1)
