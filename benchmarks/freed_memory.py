"""What a pass on the CPU gains where freed memory is kept.

    python benchmarks/freed_memory.py --model SPEC IMAGE [--input-size 257]

Shows the image again and again in batches of some sizes, on one thread, in processes with and
without `keep_freed_memory`, in turn; prints the processor time of a pass, kept over as it is, and
the most memory that each process had.
"""

import argparse
import subprocess
import sys
import time
from statistics import median

import torch

import misure
from misure._util.freed_memory import keep_freed_memory
from misure._util.memory import PeakMemory

SIZES = (1, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--model", required=True)
    parser.add_argument("--input-size", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=("kept", "as it is"))
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments)
        return
    modes = ("as it is", "kept")
    found: dict[str, list[list[float]]] = {mode: [] for mode in modes}
    for _ in range(3):
        for mode in modes:
            call = [sys.executable, *sys.argv, "--measure", mode]
            done = subprocess.run(call, check=True, capture_output=True, text=True)  # noqa: S603
            found[mode].append([float(one) for one in done.stdout.split()])
    middle = {mode: [median(one) for one in zip(*found[mode], strict=True)] for mode in modes}
    print("| batch | a pass, kept / as it is |\n|---|---|")
    for size, plain, kept in zip(SIZES, *middle.values(), strict=False):
        print(f"| {size} | {kept / plain:.2f} |")
    print(
        f"\nmost memory: {middle['kept'][-1]:.0f} MB kept, {middle['as it is'][-1]:.0f} MB as it is"
    )


def measure(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    if arguments.measure == "kept" and not keep_freed_memory():
        raise SystemExit("there is no glibc here")
    size = {} if arguments.input_size is None else {"input_size": arguments.input_size}
    model = misure.load_model(arguments.model, device="cpu", **size)
    image = misure.read_image(arguments.image, num_channels=model.num_channels)
    with PeakMemory(torch.device("cpu")) as peak, torch.no_grad():
        for size in SIZES:
            batch = image[None].repeat(size, 1, 1, 1)
            model(batch)
            start = time.process_time()
            for _ in range(arguments.rounds):
                model(batch)
            print((time.process_time() - start) / arguments.rounds / size)
    print(peak.mb or 0)


if __name__ == "__main__":
    main()
