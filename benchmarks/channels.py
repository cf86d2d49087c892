"""Which channel a network uses: networks with a planted shortcut in one of four channels.

    python benchmarks/channels.py planted --data FOLDER [--seeds 1 2 3 4] [--limit 20]
    python benchmarks/channels.py apart --data FOLDER [--seeds 1 2] [--limit 4]

Each image has four channels, made of an axial slice of a T1 volume of the hippocampus set (with
`images` and `labels`): T1 as it is; a second sequence, T1 in another contrast, blurred and with
noise; a third that is noise alone; and a fourth that is noise in which, with the shortcut, one of
the two classes is drawn a little brighter, as an annotation that was burnt in. The seed draws the
order of the channels and the class that is leaked; a second network is trained on the same images
without the leak. Training and test cases are apart, and each has noise of its own.

`planted` asks of each drawn object of test cases which channel has the strongest effect, and which
smallest sets suffice. With the shortcut the leaking channel has to be named for the leaked class;
without, never. The other class may lean on it too, as a sign of where it is not. How far a network
does is measured without misure: the Dice with the annotation if the same test images leak nothing.
For comparison, the channel with the largest mean absolute gradient of the class's logits, and of
gradient times input.

`apart` adds regions by channel, by `channel_regions` and by two presets with `channels="apart"`:
the share of the image that is shown of each channel.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import nibabel
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

import misure
from misure.explanation.answers.effects import LEAST_TOLD
from misure.models.cost import Cost
from misure.models.networks.unet import UNet

CLASSES = ("background", "anterior", "posterior")
SEQUENCES = ("t1", "second", "noise", "leaking")
_SHAPE = (40, 56)
_TEST_CASES = 40
_SLICES = 3  # of a case
_LEAK, _NOISE = 0.6, 0.25
_LEAST_PX = 30  # of an object


@dataclass(frozen=True)
class Planted:
    """Images (N, 4, H, W) with the shortcut and without, and annotations (N, H, W)."""

    leaking: Tensor
    honest: Tensor
    annotations: Tensor


@dataclass(frozen=True)
class Plan:
    """What a seed draws.

    Attributes:
        order: names of the channels, in their order.
        leaked: class that leaks.
    """

    seed: int
    order: tuple[str, ...]
    leaked: int

    @classmethod
    def of(cls, seed: int) -> "Plan":
        rng = np.random.default_rng((3, seed))
        return cls(seed, tuple(rng.permutation(SEQUENCES).tolist()), int(rng.integers(1, 3)))


def planted_images(data: Path, plan: Plan, *, test: bool) -> Planted:
    """Slices of the cases for training, or of those for testing."""
    cases = sorted((data / "images").glob("*.nii.gz"))
    chosen = cases[-_TEST_CASES:] if test else cases[:-_TEST_CASES]
    leaking, honest, annotations = [], [], []
    for number, case in enumerate(chosen):
        rng = np.random.default_rng((plan.seed, int(test), number))
        volume = np.asarray(nibabel.load(case).dataobj, dtype=np.float32)
        labels = np.asarray(nibabel.load(data / "labels" / case.name).dataobj)
        scaled = (volume - volume.mean()) / volume.std()
        wanted = np.minimum((labels == 1).sum((0, 1)), (labels == 2).sum((0, 1)))
        for k in np.argsort(-wanted)[:_SLICES]:
            image, label = _cut(scaled[..., k]), _cut(labels[..., k]).round().astype(np.int64)
            with_leak, without = _channels(image, label, plan, rng)
            leaking.append(with_leak)
            honest.append(without)
            annotations.append(torch.from_numpy(label))
    return Planted(torch.stack(leaking), torch.stack(honest), torch.stack(annotations))


def _cut(plane: np.ndarray) -> np.ndarray:
    """The plane (I, J), its middle cut to the shape, or padded."""
    for axis, wanted in enumerate(_SHAPE):
        missing = max(0, wanted - plane.shape[axis])
        before = missing // 2
        widths = [(before, missing - before) if i == axis else (0, 0) for i in range(2)]
        plane = np.pad(plane, widths)
        start = (plane.shape[axis] - wanted) // 2
        plane = plane.take(range(start, start + wanted), axis)
    return plane


def _channels(
    image: np.ndarray, label: np.ndarray, plan: Plan, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    noises = rng.normal(0, 1, (3, *_SHAPE)).astype(np.float32)
    second = gaussian_filter(-np.abs(image - 0.5), 0.7) + _NOISE * noises[0]
    leak = _LEAK * (label == plan.leaked)
    channels = {"t1": image, "second": second, "noise": noises[1], "leaking": _NOISE * noises[2]}
    without = np.stack([channels[name] for name in plan.order])
    channels["leaking"] = channels["leaking"] + leak.astype(np.float32)
    with_leak = np.stack([channels[name] for name in plan.order])
    return torch.from_numpy(with_leak).float(), torch.from_numpy(without).float()


def trained(images: Tensor, annotations: Tensor, plan: Plan, num_steps: int) -> UNet:
    """A small U-Net, the same for the same arguments."""
    torch.manual_seed(plan.seed)
    net = UNet(len(plan.order), len(CLASSES), (8, 16, 32))
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, num_steps)
    weights = torch.tensor([0.4, 1.0, 1.0])
    for _ in range(num_steps):
        batch = torch.randint(len(images), (12,))
        loss = F.cross_entropy(net(images[batch]), annotations[batch], weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def _models(
    args: argparse.Namespace,
) -> Iterator[tuple[Plan, str, misure.SegmentationModel, Planted]]:
    for seed in args.seeds:
        plan = Plan.of(seed)
        train = planted_images(args.data, plan, test=False)
        test = planted_images(args.data, plan, test=True)
        for name, images in (("with", train.leaking), ("without", train.honest)):
            net = trained(images, train.annotations, plan, args.steps)
            yield (
                plan,
                name,
                misure.SegmentationModel(net, class_names=CLASSES, channel_names=plan.order),
                test,
            )


def _dice(model: misure.SegmentationModel, images: Tensor, planted: Planted, index: int) -> float:
    with torch.no_grad():
        drawn = model.class_region(model(images), index)
    annotated = planted.annotations == index
    return float(2 * (drawn & annotated).sum() / (drawn.sum() + annotated.sum()))


def _objects(
    model: misure.SegmentationModel, images: Tensor, index: int, limit: int
) -> Iterator[tuple[Tensor, misure.Target]]:
    """Drawn objects, one of an image, at most the number asked for."""
    num = 0
    for image in images:
        drawn = misure.segment(model, image).class_region(index)
        if int(drawn.sum()) >= _LEAST_PX and num < limit:
            num += 1
            yield image, misure.predicted_target(model, image, index)


def _largest_gradient(
    model: misure.SegmentationModel, image: Tensor, target: misure.Target
) -> tuple[int, int]:
    """The channels of the largest mean absolute gradient, and of gradient times input."""
    pixels = image[None].clone().requires_grad_(True)
    logits = model(pixels)[0, target.class_index]
    (gradient,) = torch.autograd.grad(logits[target.region].sum(), pixels)
    return int(gradient.abs().mean((0, 2, 3)).argmax()), int(
        (gradient * pixels).abs().mean((0, 2, 3)).argmax()
    )


def planted(args: argparse.Namespace) -> None:
    """Two networks a seed; a row for each class."""
    columns = (
        *("seed", "leak in training", "class", "Dice", "Dice, nothing leaks", "objects"),
        *("strongest effect: leaking", "in each smallest set", "effects (medians)"),
        *(
            "smallest sets",
            "fills agree",
            "largest gradient: leaking",
            "gradient x input",
            "passes",
        ),
    )
    _print_row(*columns)
    _print_row(*["---"] * len(columns))
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for plan, name, model, test in _models(args):
        images = test.leaking if name == "with" else test.honest
        for index in (1, 2):
            leaks = name == "with" and index == plan.leaked
            kind = "leaked" if leaks else "other class" if name == "with" else "no leak"
            title = CLASSES[index] + (" (leaked)" if leaks else "")
            cells, counts = _judged(model, images, index, plan, args.limit)
            dices = [f"{_dice(model, one, test, index):.3f}" for one in (images, test.honest)]
            _print_row(str(plan.seed), name, title, *dices, *cells)
            totals[kind] = [a + b for a, b in zip(totals[kind], counts, strict=True)]
    print()
    for kind, (num, top, in_sets, gradient, product) in totals.items():
        print(
            f"{kind}: {num} objects; leaking channel strongest for {top}, in each smallest set "
            f"for {in_sets}; largest gradient for {gradient}, gradient x input for {product}"
        )


def _judged(
    model: misure.SegmentationModel, images: Tensor, index: int, plan: Plan, limit: int
) -> tuple[list[str], list[int]]:
    leaking = plan.order.index("leaking")
    tops = in_sets = agree = gradients = products = 0
    effects, passes, sets = defaultdict(list), [], defaultdict(int)
    for image, target in _objects(model, images, index, limit):
        found = misure.channel_effects(model, image, target)
        strongest = found.effects[0]
        tops += strongest.number == leaking and strongest.effect >= LEAST_TOLD
        in_sets += bool(found.sets) and all(leaking in one.channels for one in found.sets)
        agree += found.fills_agree
        passes.append(found.cost.forward_passes)
        for effect in found.effects:
            effects[effect.name].append(effect.effect)
        sets[" or ".join("+".join(sorted(one.names)) for one in found.sets)] += 1
        largest = _largest_gradient(model, image, target)
        gradients += largest[0] == leaking
        products += largest[1] == leaking
    num = len(passes)
    medians = ", ".join(f"{name} {median(effects[name]):.2f}" for name in SEQUENCES)
    common = sorted(sets.items(), key=lambda pair: -pair[1])[:2]
    cells = [
        *(str(num), f"{tops} of {num}", f"{in_sets} of {num}", medians),
        "; ".join(f"{name or 'none'} ({times})" for name, times in common),
        *(f"{agree} of {num}", f"{gradients} of {num}", f"{products} of {num}"),
        f"{mean(passes):.0f}",
    ]
    return cells, [num, tops, in_sets, gradients, products]


def apart(args: argparse.Namespace) -> None:
    """Regions by channel of a few objects of each network with the shortcut."""
    columns = (
        "seed",
        "class",
        "search",
        "objects",
        *SEQUENCES,
        "area, all channels",
        "area, apart",
        "Dice",
        "passes",
        "seconds",
    )
    _print_row(*columns)
    _print_row(*["---"] * len(columns))
    for plan, name, model, test in _models(args):
        if name != "with":
            continue
        for index in (1, 2):
            objects = list(_objects(model, test.leaking, index, args.limit))
            title = CLASSES[index] + (" (leaked)" if index == plan.leaked else "")
            for search in ("channel_regions", "readable", "smallest"):
                found = [_apart(model, *one, search) for one in objects]
                of_channels = [mean(one.areas[name] for one in found) for name in SEQUENCES]
                areas = (mean(one.together for one in found), mean(of_channels))
                _print_row(
                    *(str(plan.seed), title, search, str(len(found))),
                    *(f"{100 * area:.1f} %" for area in (*of_channels, *areas)),
                    f"{mean(one.dice for one in found):.2f}",
                    f"{mean(one.cost.pass_equivalents for one in found):.0f}",
                    f"{mean(one.cost.seconds for one in found):.1f}",
                )


@dataclass(frozen=True)
class Apart:
    """What was found by channel of one object.

    Attributes:
        together: the share of the image of the minimally sufficient region of all channels.
        areas: channel -> the share of it that is shown.
    """

    together: float
    areas: dict[str, float]
    dice: float
    cost: Cost


def _apart(
    model: misure.SegmentationModel, image: Tensor, target: misure.Target, search: str
) -> Apart:
    """The region by channel of an object, by `channel_regions` or by a preset."""
    if search == "channel_regions":
        reduced = misure.channel_regions(model, image, target, cell_px=2)
        together, region, dice = reduced.minimally_sufficient_region, reduced.region, reduced.dice
        cost = reduced.cost
    else:
        found = misure.explain(
            model, image, target, preset=search, channels="apart", minimality_cell_px=2
        )
        together, cost = found.minimally_sufficient_region, found.cost
        region, dice = found.minimally_sufficient_region_by_channel, found.values.by_channel.dice
    areas = {
        model.channel_name(number): float(of_channel.float().mean())
        for number, of_channel in enumerate(region)
    }
    return Apart(float(together.float().mean()), areas, dice, cost)


def _print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, function, limit in (("planted", planted, 20), ("apart", apart, 4)):
        command = commands.add_parser(name)
        command.add_argument("--data", type=Path, required=True, help="the hippocampus set")
        command.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4])
        command.add_argument("--limit", type=int, default=limit, help="objects of a class")
        command.add_argument("--steps", type=int, default=300, help="of training")
        command.set_defaults(function=function)
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
