"""What masked images cost on a CPU, with and without flushing denormal numbers to zero.

    python benchmarks/denormals.py --model SPEC IMAGE

Times forward and forward + backward passes of the image as it is and of a tenth of it on black, in
alternation, and prints each as a ratio to the forward pass of the whole image.
"""

import argparse
import time
from statistics import median

import torch

import misure


def seconds(model: misure.SegmentationModel, image: torch.Tensor, backward: bool) -> float:
    shown = image[None].clone().requires_grad_(backward)
    start = time.perf_counter()
    with torch.set_grad_enabled(backward):
        logits = model(shown)
    if backward:
        torch.autograd.grad(logits[:, 1].sum(), shown)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = misure.load_model(arguments.model, device="cpu")
    image = misure.read_image(arguments.image, num_channels=model.num_channels)
    masked = torch.zeros_like(image)
    tenth = tuple(slice(0, max(1, side // 3)) for side in image.shape[1:])
    masked[(slice(None), *tenth)] = image[(slice(None), *tenth)]
    times: dict[tuple[str, bool, bool], list[float]] = {}
    for _ in range(arguments.rounds + 1):
        for flush in (False, True):
            torch.set_flush_denormal(flush)
            for name, shown in (("whole image", image), ("masked image", masked)):
                for backward in (False, True):
                    taken = seconds(model, shown, backward)
                    times.setdefault((name, backward, flush), []).append(taken)
    base = median(times["whole image", False, False][1:])
    print(f"one forward pass of the whole image: {base:.3f} s\n")
    print("| shown | passes | as it is | flushed |\n|---|---|---|---|")
    for name in ("whole image", "masked image"):
        for backward in (False, True):
            ratios = [median(times[name, backward, f][1:]) / base for f in (False, True)]
            passes = "forward + backward" if backward else "forward"
            print(f"| {name} | {passes} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
