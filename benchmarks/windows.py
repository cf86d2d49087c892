"""What windows cost: memory of a large volume, and the windows that need not be computed again.

    python benchmarks/windows.py memory [--shape 512,512,300] [--work pass,gradient,explain]
    python benchmarks/windows.py saved [--model SPEC --image FILE --class-index K --window 64]
    python benchmarks/windows.py panorama [--shape 3000,12000 --model SPEC]

`memory` explains a ball in a volume of the shape of a CT with a quick network of eight classes, and
prints the most memory that the process had in use. `saved` explains one target with kept outputs
and without, compares the bytes of both results, and prints the share of windows that were not
computed. Without a model it is a network of local means, in a volume of eight windows. `panorama`
decides about one of 21 classes in a picture whose logits come at a sixteenth of its sides, or those
of a model.
"""

import argparse
import sys
import time
import warnings
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import misure
from misure._util.memory import PeakMemory
from misure.models.windows import Windows

CPU = torch.device("cpu")


class Levels(nn.Module):
    """Gives a voxel the class whose level is nearest to a mean of it and its surroundings."""

    def __init__(self, num_classes: int = 8, width: int = 9) -> None:
        super().__init__()
        self.levels = nn.Parameter(torch.linspace(0, 1, num_classes))
        self.width = width

    def forward(self, images: Tensor) -> Tensor:
        near = F.avg_pool3d(images, self.width, stride=self.width - 1, padding=self.width // 2)
        seen = 0.6 * images + 0.4 * F.interpolate(near, images.shape[2:])
        return -20 * (seen - self.levels.view(1, -1, 1, 1, 1)).square()


def ball(shape: tuple[int, ...], at: tuple[float, ...] = (0.3, 0.35, 0.4)) -> Tensor:
    """A volume (1, *shape) with noise and a bright ball."""
    generator = torch.Generator().manual_seed(0)
    axes = [torch.arange(side) - share * side for side, share in zip(shape, at, strict=True)]
    radius = min(shape) / 9
    distance = sum(
        axis.view(*[-1 if i == j else 1 for j in range(3)]) ** 2 for i, axis in enumerate(axes)
    )
    noise = 0.02 * torch.rand(shape, generator=generator)
    return noise.add_(0.45 * (distance < radius**2))[None]


def memory(arguments: argparse.Namespace) -> None:
    shape = tuple(map(int, arguments.shape.split(",")))
    image = ball(shape)
    windows = Windows(size=arguments.window, overlap=arguments.overlap, weights="gaussian")
    model = misure.SegmentationModel(Levels(), window=windows)
    print(f"{shape}, {windows.num_windows(shape)} windows of {arguments.window}")
    print("| work | seconds | peak, GB | passes | windows computed |\n|---|---|---|---|---|")

    def measured(name: str, work) -> object:
        before, start = model._kept.num_computed, time.perf_counter()
        with model.counting() as cost, PeakMemory(CPU) as peak:
            found = work()
        seconds, computed = time.perf_counter() - start, model._kept.num_computed - before
        print(
            f"| {name} | {seconds:.0f} | {(peak.mb or 0) / 1000:.2f} | "
            f"{cost.pass_equivalents} | {computed} |",
            flush=True,
        )
        return found

    works = arguments.work.split(",")
    target = measured("target", lambda: misure.predicted_target(model, image, 3))
    if "pass" in works or "gradient" in works:
        from misure.explanation.presentation import make_presentations
        from misure.explanation.probe import Probe, Query
        from misure.explanation.show import try_regions

        probe = Probe(target, make_presentations(model, image))
        for gradient in (False, True):
            if ("gradient" if gradient else "pass") in works:
                query, name = Query([], gradient=gradient), "gradient" if gradient else "pass"
                region = target.region.float() if gradient else target.region
                measured(name, lambda q=query, r=region: try_regions(model, [(probe, r)], q))
    if "explain" in works:
        preset, options = arguments.preset, {}
        if arguments.max_passes:
            options = {"max_passes": arguments.max_passes}
        measured(
            f"explain, {preset}",
            lambda: misure.explain(model, image, target, preset=preset, on_step=_said, **options),
        )


def _said(doing: str, step: int, _of: int | None) -> None:
    print(f"{time.strftime('%H:%M:%S')} {doing} {step}", file=sys.stderr, flush=True)


def saved(arguments: argparse.Namespace) -> None:
    if arguments.model:
        options = {"window": arguments.window, "overlap": arguments.overlap}
        model = misure.load_model(arguments.model, **options)
        image = misure.read_image(
            arguments.image, num_channels=model.num_channels, intensity=model.intensity
        )
    else:
        image = ball((2 * arguments.window,) * 3)
        model = misure.SegmentationModel(
            Levels(), window=arguments.window, overlap=arguments.overlap
        )
    print("| preset | seconds, kept / not | passes | windows shown | computed | saved |")
    print("|---|---|---|---|---|---|")
    for preset in arguments.preset.split(","):
        results = []
        for kept_mb in (1000, 0):
            used = replace(model.windows or Windows(size=arguments.window), kept_mb=kept_mb)
            model.windows, model._kept = used, type(model._kept)(kept_mb)
            target = misure.predicted_target(model, image, arguments.class_index)
            kept, start = model._kept, time.perf_counter()
            before = kept.num_shown, kept.num_computed
            found = misure.explain(model, image, target, preset=preset)
            seconds = time.perf_counter() - start
            shown, computed = kept.num_shown - before[0], kept.num_computed - before[1]
            results.append((found, seconds, shown, computed))
        (found, fast, shown, computed), (plain, slow, _, of_plain) = results
        same = all(
            getattr(found, name).numpy().tobytes() == getattr(plain, name).numpy().tobytes()
            for name in ("sufficient_region", "minimally_sufficient_region", "saliency_map")
        )
        if not same or of_plain != shown:
            raise SystemExit("kept outputs changed the result")
        print(
            f"| {preset} | {fast:.0f} / {slow:.0f} | {found.cost.pass_equivalents} | {shown} | "
            f"{computed} | {1 - computed / shown:.0%} |",
            flush=True,
        )


def panorama(arguments: argparse.Namespace) -> None:
    shape = tuple(map(int, arguments.shape.split(",")))
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(21, 3, 16, 16, generator=generator)
    image = torch.rand(1, 3, *shape, generator=generator)

    def net(images: Tensor) -> Tensor:
        return F.conv2d(images, weight, stride=16)

    print("| work | max_side | seconds | peak, GB |\n|---|---|---|---|")
    for max_side in (None, 2048):
        if arguments.model:
            model = misure.load_model(arguments.model, max_side=max_side)
        else:
            model = misure.SegmentationModel(net, max_side=max_side)
        model.examine(image)
        works = {
            "all 21 classes": lambda m=model: m(image).shape,
            "those that decide": lambda m=model: m.deciding_logits(image, [7])[0][0].shape,
        }
        for name, work in works.items():
            start = time.perf_counter()
            with torch.no_grad(), PeakMemory(CPU) as peak:
                work()
            seconds = time.perf_counter() - start
            print(f"| {name} | {max_side or ''} | {seconds:.1f} | {(peak.mb or 0) / 1000:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("memory", "saved", "panorama"))
    parser.add_argument("--shape")
    parser.add_argument("--work", default="pass,gradient,explain")
    parser.add_argument("--window", type=int)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--preset", default="readable")
    parser.add_argument("--max-passes", type=int)
    parser.add_argument("--model")
    parser.add_argument("--image")
    parser.add_argument("--class-index", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("default")
    if arguments.what == "memory":
        arguments.window = arguments.window or 96
        arguments.shape = arguments.shape or "512,512,300"
        memory(arguments)
    elif arguments.what == "saved":
        arguments.window = arguments.window or 32
        saved(arguments)
    else:
        arguments.shape = arguments.shape or "3000,12000"
        panorama(arguments)


if __name__ == "__main__":
    main()
