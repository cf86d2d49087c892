"""A data set of your own: bright discs of random size, as `discs:N`."""

import torch

from misure.datasets import Dataset, Reading, Sample, SampleList, dataset


@dataset("discs", usage="discs:N")
def open_discs(rest: str, _reading: Reading) -> Dataset:
    """N dark images of 32 x 32 pixels with one bright disc each."""
    return SampleList([_disc(number) for number in range(int(rest or 10))])


def _disc(number: int) -> Sample:
    radius = float(torch.randint(4, 10, (1,), generator=torch.Generator().manual_seed(number)))
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    disc = ((rows - 16) ** 2 + (columns - 16) ** 2) < radius**2
    return Sample(f"disc{number:03d}", disc[None].float(), disc.long(), point=(16, 16))
