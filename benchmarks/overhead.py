"""What misure adds to the network's own forward and backward passes.

    python benchmarks/overhead.py [--size 512] [--channels 24] [--device cpu]

Explains a disc that a convolutional network with two classes draws, and times as many bare passes
of the same network in the same run. Prints the share of the time that is not the network's.
"""

import argparse
import time
from statistics import median

import torch
from torch import Tensor, nn

import misure


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


def bare_seconds(net: nn.Module, image: Tensor, backward: bool) -> float:
    shown = image[None].clone().requires_grad_(backward)
    start = clock(image.device)
    with torch.set_grad_enabled(backward):
        logits = net(shown)
    if backward:
        torch.autograd.grad(logits, shown, torch.ones_like(logits))
    if image.is_cuda:
        torch.cuda.synchronize()
    return clock(image.device) - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    net = Disc(arguments.channels).to(arguments.device).eval()
    for parameter in net.parameters():
        parameter.requires_grad_(requires_grad=False)
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, arguments.size)] * 2, indexing="ij")
    image = torch.rand(3, arguments.size, arguments.size) * 0.4
    image[:, rows**2 + columns**2 < 0.1] += 0.55
    image = image.to(arguments.device)
    model = misure.SegmentationModel(net, probabilities=False)
    target = misure.predicted_target(model, image, 1, instance=0)
    shares = []
    for _ in range(arguments.rounds):
        forward = median(bare_seconds(net, image, backward=False) for _ in range(15))
        both = median(bare_seconds(net, image, backward=True) for _ in range(15))
        start = clock(image.device)
        found = misure.explain(model, image, target, num_minimality_tests=0)
        seconds = clock(image.device) - start
        num_both = found.cost.backward_passes
        bare = num_both * both + (found.cost.forward_passes - num_both) * forward
        shares.append(1 - bare / seconds)
        print(
            f"forward {1e3 * forward:.1f} ms, forward + backward {1e3 * both:.1f} ms; "
            f"{found.cost.pass_equivalents} pass equivalents in {seconds:.2f} s, "
            f"{shares[-1]:.0%} of it not the network's"
        )
    print(f"median share: {median(shares):.0%}")


if __name__ == "__main__":
    main()
