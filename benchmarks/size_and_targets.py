"""How the cost of an explanation grows with the image's size and with the number of targets.

    python benchmarks/size_and_targets.py --model hf:FOLDER --photographs FOLDER

Each line is a process of its own, so that its peak memory is its own. Prints two Markdown tables:
pass equivalents for each target, seconds for each pass equivalent relative to a third of the
network's own forward and backward pass at that size (measured in the same process), peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch

import misure
from objects import photographed_objects

SIZES = (256, 512, 1024)
NUMBERS = (1, 8, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", type=int, nargs=2, metavar=("SIZE", "NUMBER"))
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments, *arguments.one)))
        return
    for name, cases in (
        ("size", [(size, 1) for size in SIZES]),
        ("targets", [(256, number) for number in NUMBERS]),
    ):
        print(f"| {name} | pass equivalents a target | time a pass, ratio | peak memory |")
        print("|---|---|---|---|")
        for size, number in cases:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", str(size), str(number)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 (itself)
            row = json.loads(done.stdout.splitlines()[-1])
            first = f"{size} × {size}" if name == "size" else number
            print(
                f"| {first} | {row['passes']:.0f} | {row['ratio']:.2f} | {row['gb']:.1f} GB |",
                flush=True,
            )


def measure(arguments: argparse.Namespace, size: int, number: int) -> dict[str, float]:
    """Passes a target, time a pass relative to the bare network's, peak memory in GB."""
    torch.set_num_threads(arguments.threads)
    shape = (size, size)
    model = misure.load_model(arguments.model, device=arguments.device, input_size=shape)
    found = list(photographed_objects(model, arguments.photographs, number, shape))
    if len(found) < number:
        raise SystemExit(f"expected {number} objects in {arguments.photographs}, got {len(found)}")
    images = [image.to(model.device) for _, image, _ in found]
    targets = [target for _, _, target in found]
    bare = bare_seconds(model, images[0])
    start = time.perf_counter()
    explained = misure.explain_all(model, images, targets, num_minimality_tests=0)
    seconds = time.perf_counter() - start
    passes = sum(one.cost.pass_equivalents for one in explained)
    bytes_used = (
        torch.cuda.max_memory_allocated()
        if arguments.device == "cuda"
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return {"passes": passes / number, "ratio": seconds / passes / bare, "gb": bytes_used / 1e9}


def bare_seconds(model: misure.SegmentationModel, image: torch.Tensor) -> float:
    """Seconds of a third of one forward and backward pass of the model by itself."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        shown = image[None].clone().requires_grad_()
        torch.autograd.grad(model(shown).sum(), shown)
        if image.is_cuda:
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return median(taken) / 3


if __name__ == "__main__":
    main()
