"""Seeds: of a device, and of a text."""

import hashlib

import torch


def seed_device(device: torch.device, seed: int) -> None:
    """Seeds torch on the CPU and on this device; `torch.manual_seed` would seed every GPU."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def seed_of(text: str) -> int:
    """A seed in [0, 2**32) that depends on nothing but a text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big")
