"""What misure adds to the network's own forward and backward passes.

    python benchmarks/overhead.py [--size 512] [--device cpu]
    python benchmarks/overhead.py --model SPEC IMAGE [--input-sizes 257 513]

Explains a disc that a convolutional network with two classes draws, or with --model the largest
object of a photograph, and prints for each preset which part of the time is spent inside the
network's forward passes, inside backward passes, and around both; then the share of the time that
bare passes of the same network, as many and timed in the same run, would not take. Times are of the
processor on a CPU. *Faults* are the pages of memory that a pass gets anew from the system.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import misure

PRESETS = ("smallest", "forward_only")


class Disc(nn.Module):
    """Draws what is bright; its hidden layers only cost time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(channels, 2, 1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        )

    def forward(self, images: Tensor) -> Tensor:
        evidence = 10 * (images[:, :1] - 0.5)
        return torch.cat([-evidence, evidence], dim=1) + 1e-3 * self.hidden(images)


def clock(device: torch.device) -> float:
    """Seconds that count: of the processor on a CPU, where other programs may be in the way."""
    return time.process_time() if device.type == "cpu" else time.perf_counter()


class Stopwatch:
    """Seconds inside the forward passes of a network and inside backward passes."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.forward, self.backward = device, 0.0, 0.0

    @contextmanager
    def watching(self, model: misure.SegmentationModel) -> Iterator[None]:
        run, grad = model._run, torch.autograd.grad
        model._run = self.timed("forward", run)  # type: ignore[method-assign]
        torch.autograd.grad = self.timed("backward", grad)
        try:
            yield
        finally:
            model._run = run  # type: ignore[method-assign]
            torch.autograd.grad = grad

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def work_timed(*args: Any, **named: Any) -> Any:
            start = self.now()
            try:
                return work(*args, **named)
            finally:
                setattr(self, part, getattr(self, part) + self.now() - start)

        return work_timed

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return clock(self.device)


def bare_seconds(model: misure.SegmentationModel, shown: Tensor, backward: bool) -> float:
    """Seconds of one pass of the network alone, on an input that it got from misure."""
    shown = shown.detach().requires_grad_(backward)
    watch = Stopwatch(shown.device)
    start = watch.now()
    with torch.set_grad_enabled(backward):
        output = model._run(shown)
        logits = model._form.read(output, shown)[0]
        if backward:
            torch.autograd.grad(logits, shown, torch.ones_like(logits))
    return watch.now() - start


def first_input(model: misure.SegmentationModel, image: Tensor) -> Tensor:
    seen: list[Tensor] = []
    run = model._run
    model._run = lambda inputs: seen.append(inputs) or run(inputs)  # type: ignore[method-assign]
    with torch.no_grad():
        model(image[None])
    model._run = run  # type: ignore[method-assign]
    return seen[-1]


def measure(
    name: str,
    model: misure.SegmentationModel,
    image: Tensor,
    target: misure.Target,
    arguments: argparse.Namespace,
) -> None:
    shown = first_input(model, image)
    for preset in PRESETS:
        rows = []
        for _ in range(arguments.rounds + 1):
            with model.borrowed():
                forward = median(bare_seconds(model, shown, backward=False) for _ in range(5))
                both = median(bare_seconds(model, shown, backward=True) for _ in range(5))
            watch = Stopwatch(image.device)
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            start = watch.now()
            with watch.watching(model):
                found = misure.explain(
                    model,
                    image,
                    target,
                    preset=preset,
                    num_minimality_tests=0,
                    max_passes=arguments.passes,
                )
            seconds = watch.now() - start
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
            num_both, num_passes = found.cost.backward_passes, found.cost.forward_passes
            bare = num_both * both + (num_passes - num_both) * forward
            parts = [watch.forward, watch.backward, seconds - watch.forward - watch.backward]
            shares = [part / seconds for part in (*parts, seconds - bare)]
            rows.append([1e3 * forward, 1e3 * both, *shares, faults / num_passes])
        middle = [median(row) for row in zip(*rows[1:], strict=True)]  # the first warms up
        print(
            f"| {name} | {preset} | {num_passes} + {num_both} | {middle[0]:.0f} | "
            f"{middle[1]:.0f} | "
            + " | ".join(f"{share:.0%}" for share in middle[2:6])
            + f" | {middle[6]:.0f} |",
            flush=True,
        )


def disc(arguments: argparse.Namespace) -> tuple[misure.SegmentationModel, Tensor, misure.Target]:
    torch.manual_seed(0)
    net = Disc(arguments.channels).to(arguments.device).eval()
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, arguments.size)] * 2, indexing="ij")
    image = torch.rand(3, arguments.size, arguments.size) * 0.4
    image[:, rows**2 + columns**2 < 0.1] += 0.55
    image = image.to(arguments.device)
    model = misure.SegmentationModel(net, probabilities=False)
    return model, image, misure.predicted_target(model, image, 1, instance=0)


def photograph(
    arguments: argparse.Namespace, size: int
) -> tuple[misure.SegmentationModel, Tensor, misure.Target]:
    model = misure.load_model(arguments.model, device=arguments.device, input_size=(size, size))
    image = misure.read_image(arguments.image, num_channels=model.num_channels)
    image = torch.nn.functional.interpolate(image[None], (size, size), mode="bilinear")[0]
    image = image.to(arguments.device)
    segmentation = misure.segment(model, image)
    found = [one for one in segmentation.found_classes() if one.class_index > 0]
    return model, image, segmentation.target(found[0].class_index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--input-sizes", type=int, nargs="+", default=[257, 513])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=160)
    arguments = parser.parse_args()
    print(
        "| network | preset | passes, forward + backward | forward, ms | both, ms | in forward | "
        "in backward | around | more than bare passes | faults a pass |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    if arguments.model is None:
        measure(f"disc, {arguments.size} px", *disc(arguments), arguments)
        return
    for size in arguments.input_sizes:
        measure(f"photograph, {size} px", *photograph(arguments, size), arguments)


if __name__ == "__main__":
    main()
