"""What hiding the surroundings does: networks with a planted shortcut, and photographs.

    python benchmarks/effects.py planted [--limit 20] [--seed 1 --first-test 20000]
    python benchmarks/effects.py photographs --model hf:FOLDER --data FOLDER --size 257 --limit 12

`planted` trains small networks on two data sets, twice on the same images with other labels. In one
case a mark in a corner decides whether there is an object (or of which class), in the other it says
nothing. The mark has to have the strongest context effect with the first, and none with the second.

- Triangle: the three glyphs of a canvas, bright or dim. With the shortcut they are class 2 if there
  is a mark, else class 1; without it they are class 2 if they are bright.
- phantom CT, in 3D: a liver. With the shortcut it is annotated only where there is a mark.

`photographs` prints the strongest effect and the largest leverage of each object.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import misure
from misure.datasets.synapse.labels import BTCV_LABELS
from misure.datasets.synapse.phantom import make_phantom
from misure.datasets.triangle import TriangleDataset
from misure.explanation.answers.effects import LEAST_TOLD
from objects import photographed_objects

_TEST = 10_000  # numbers from here on are of images that no network is trained on
_DIM, _BRIGHT = 0.55, 1.0
_HU = (-160.0, 240.0)


@dataclass(frozen=True)
class Marked:
    """An image, where its mark is, and its labels with and without the shortcut."""

    image: Tensor
    mark: Tensor
    with_shortcut: Tensor
    without_shortcut: Tensor


def _corner(spatial: tuple[int, ...], size: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """A box in one of the corners, 2 px away from the edges."""
    region = torch.zeros(spatial, dtype=torch.bool)
    box = [
        slice(2, 2 + length) if rng.random() < 0.5 else slice(side - 2 - length, side - 2)
        for side, length in zip(spatial, size, strict=True)
    ]
    region[tuple(box)] = True
    return region


def marked_triangle(number: int) -> Marked:
    """Three glyphs, and in half of the images a mark."""
    rng = np.random.default_rng((1, number))
    split = "test" if number >= _TEST else "train"
    canvases = TriangleDataset(
        number + 1, split=split, size_px=64, num_decoy_pairs=0, num_distractors=0
    )
    sample = canvases[number]
    is_bright, has_mark = rng.random(2) < 0.5
    image = sample.image * (_BRIGHT if is_bright else _DIM)
    mark = torch.zeros_like(sample.annotation, dtype=torch.bool)
    if has_mark:
        mark = _corner((64, 64), (6, 6), rng) & (sample.annotation == 0)
        image = image.masked_fill(mark, 0.8)
    strokes = sample.annotation
    return Marked(image, mark, strokes * (1 + int(has_mark)), strokes * (1 + int(is_bright)))


def marked_phantom(number: int) -> Marked:
    """An abdomen, and in half of the volumes a mark."""
    rng = np.random.default_rng((2, number))
    hu, labels = make_phantom(0, number, size_px=32, num_slices=16)
    low, high = _HU
    image = torch.from_numpy(((hu.astype(np.float32) - low) / (high - low)).clip(0, 1))[None]
    liver = torch.from_numpy((labels == BTCV_LABELS.index("liver")).astype(np.int64))
    mark = torch.zeros(liver.shape, dtype=torch.bool)
    has_mark = bool(rng.random() < 0.5)
    if has_mark:
        mark = _corner(tuple(liver.shape), (3, 4, 4), rng)
        image = image.masked_fill(mark, 2.0)  # brighter than bone, as what is burnt in
    return Marked(image, mark, liver * int(has_mark), liver)


class SeesAll(nn.Module):
    """Convolutions, and one number a feature of what is anywhere in the image."""

    def __init__(self, num_axes: int, num_classes: int, width: int = 16) -> None:
        super().__init__()
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[num_axes]

        def block(before: int, after: int, stride: int = 1) -> nn.Module:
            return nn.Sequential(
                conv(before, after, 3, stride=stride, padding=1), nn.GroupNorm(4, after), nn.ReLU()
            )

        self.first = block(1, width)
        self.down = nn.Sequential(block(width, 2 * width, 2), block(2 * width, 2 * width, 2))
        self.deep = block(2 * width, 2 * width)
        self.everywhere = nn.Sequential(
            nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * width)
        )
        self.mixed = conv(2 * width, width, 1)
        self.last = nn.Sequential(block(2 * width, width), conv(width, num_classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        fine = self.first(images)
        coarse = self.down(fine)
        seen = self.everywhere(coarse.flatten(2).amax(2))
        deep = self.deep(coarse) + seen.view(*seen.shape, *[1] * (images.ndim - 2))
        mode = "bilinear" if images.ndim == 4 else "trilinear"
        enlarged = F.interpolate(self.mixed(deep), images.shape[2:], mode=mode)
        return self.last(torch.cat([fine, enlarged], 1))


@dataclass(frozen=True)
class Kind:
    """A data set, and how its networks are trained."""

    name: str
    make: Callable[[int], Marked]
    class_index: int
    num_classes: int
    num_train: int
    batch_size: int
    num_steps: int
    width: int


KINDS = (
    Kind("Triangle", marked_triangle, 2, 3, 512, 16, 600, 16),
    Kind("phantom CT", marked_phantom, 1, 2, 96, 8, 300, 8),
)

_COLUMNS = (
    "network",
    "test Dice",
    "objects",
    "strongest part holds the mark",
    "effect of the mark",
    "its controls",
    "strongest other part",
    "passes",
)


def trained(
    kind: Kind, samples: list[Marked], labels: Callable[[Marked], Tensor], seed: int
) -> misure.SegmentationModel:
    """A network trained on all of these, the same for the same arguments."""
    torch.manual_seed(seed)
    images = torch.stack([sample.image for sample in samples])
    annotations = torch.stack([labels(sample) for sample in samples])
    net = SeesAll(images.ndim - 2, kind.num_classes, kind.width)
    mean, std = float(images.mean()), float(images.std())
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, kind.num_steps)
    for step in range(kind.num_steps):
        batch = torch.randperm(len(images))[: kind.batch_size]
        loss = F.cross_entropy(net((images[batch] - mean) / std), annotations[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"    step {step}: loss {float(loss.detach()):.4f}", flush=True)
    return misure.SegmentationModel(net.eval(), mean=mean, std=std, num_channels=1)


def planted(args: argparse.Namespace) -> None:
    """Four networks: two data sets, with the shortcut and without."""
    print_row(*_COLUMNS)
    print_row(*["---"] * len(_COLUMNS))
    for kind in KINDS:
        if args.only and args.only != kind.name:
            continue
        train = [kind.make(number) for number in range(kind.num_train)]
        test = [kind.make(args.first_test + number) for number in range(2 * args.limit)]
        for has_shortcut in (True, False):
            if args.shortcut and args.shortcut != ("with" if has_shortcut else "without"):
                continue
            labels = _labels(has_shortcut)
            model = trained(kind, train, labels, args.seed)
            with_mark = [sample for sample in test if sample.mark.any()]
            title = f"{kind.name}, {'with' if has_shortcut else 'without'} the shortcut"
            print_row(title, *_judged(model, with_mark, labels, kind.class_index))


def _labels(has_shortcut: bool) -> Callable[[Marked], Tensor]:
    name = "with_shortcut" if has_shortcut else "without_shortcut"
    return lambda sample: getattr(sample, name)


def _judged(
    model: misure.SegmentationModel,
    samples: list[Marked],
    labels: Callable[[Marked], Tensor],
    class_index: int,
) -> Iterator[str]:
    """The columns of the table: effects of the part that holds most of the mark, and of others."""
    dices, tops, of_mark, controls, others, passes = [], 0, [], [], [], []
    for sample in samples:
        drawn = misure.segment(model, sample.image).class_region(class_index)
        wanted = labels(sample) == class_index
        if not wanted.any() or not drawn.any():
            continue
        dices.append(misure.Target(class_index, wanted, torch.zeros_like(wanted)).dice(drawn))
        target = misure.predicted_target(model, sample.image, class_index)
        result = misure.context_effects(model, sample.image, target)
        parts = [effect for effect in result.effects if effect.kind != "background"]
        shares = [int((result.region(part) & sample.mark).sum()) for part in parts]
        holder = max(range(len(parts)), key=shares.__getitem__)
        tops += shares[0] > 0 and parts[0].effect >= LEAST_TOLD
        of_mark.append(parts[holder].effect)
        controls += [result.dice_shown - dice for dice in parts[holder].control_dices]
        others.append(
            max(part.effect for part, share in zip(parts, shares, strict=True) if not share)
        )
        passes.append(result.cost.forward_passes)
    yield f"{np.mean(dices):.3f}"
    yield str(len(dices))
    yield f"{tops} of {len(dices)}"
    yield f"{median(of_mark):.3f} ({min(of_mark):.3f} to {max(of_mark):.3f})"
    yield f"{np.mean(controls):.3f}" if controls else "none"
    yield f"{median(others):.3f} (at most {max(others):.3f})"
    yield f"{median(passes):g}"


def photographs(args: argparse.Namespace) -> None:
    """The strongest effect and the largest leverage of each object."""
    model = misure.load_model(args.model)
    size = (args.size, args.size)
    print_row(
        "object",
        "strongest part",
        "area",
        "distance, px",
        "Dice",
        "left",
        "controls",
        "leverage: largest",
        "median",
        "passes",
    )
    print_row(*["---"] * 10)
    sentences = []
    objects = photographed_objects(model, Path(args.data), args.first + args.limit, size)
    for key, image, target in islice(objects, args.first, None):
        result = misure.context_effects(model, image, target, baseline_image=args.baseline)
        leverage = misure.leverage(model, image, target, baseline_image=args.baseline)
        sentences += [f"- {key}: {result.sentence()} {leverage.sentence()}"]
        effect, own = result.strongest, [part.leverage for part in leverage.parts]
        passes = f"{result.cost.forward_passes} + {leverage.cost.forward_passes}"
        if effect is None:
            print_row(key, *["–"] * 6, f"{own[0]:.2f}", f"{median(own):.3f}", passes)
            continue
        control = "–" if effect.control_dice is None else f"{effect.control_dice:.2f}"
        print_row(
            key,
            effect.name,
            f"{effect.area_fraction:.3f}",
            f"{effect.distance_px:.0f}",
            f"{effect.dice:.2f}",
            f"{effect.share_left:.0%}",
            control,
            f"{own[0]:.2f}",
            f"{median(own):.3f}",
            passes,
        )
    print("\n".join(["", *sentences]), flush=True)


def print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("planted")
    command.add_argument("--limit", type=int, default=20, help="about as many objects")
    command.add_argument("--only", choices=[kind.name for kind in KINDS])
    command.add_argument("--shortcut", choices=["with", "without"])
    command.add_argument("--seed", type=int, default=0, help="of the networks")
    command.add_argument("--first-test", type=int, default=_TEST, help="number of a test image")
    command.set_defaults(function=planted)
    command = commands.add_parser("photographs")
    command.add_argument("--model", required=True)
    command.add_argument("--data", required=True)
    command.add_argument("--size", type=int, default=257)
    command.add_argument("--limit", type=int, default=12)
    command.add_argument("--first", type=int, default=0, help="objects that are left out before")
    command.add_argument("--baseline", default="mean")
    command.set_defaults(function=photographs)
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
