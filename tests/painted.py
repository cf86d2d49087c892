"""Networks that find what is painted in the channels of one picture, each with its own numbers."""

import torch

import toys
from misure.datasets import Sample, SampleList
from misure.runs.alignment import RunInRow
from misure.runs.plan import RunPlan
from misure.runs.run import run

ROWS, LEFT, RIGHT, LOW = slice(4, 12), slice(2, 12), slice(16, 28), slice(20, 28)


class Painted(torch.nn.Module):
    """Class i + 1 where channel `order[i]` is bright; a channel may be shrunk to a part."""

    def __init__(self, order, *, without=()):
        super().__init__()
        self.order, self.without = order, without

    def forward(self, images):
        shown = images[:, list(self.order)].clone()
        for rows, columns in self.without:
            shown[:, :, rows, columns] = 0
        return torch.cat([torch.full_like(shown[:, :1], 0.5), shown], dim=1) * 8


def painted_image():
    """Red: a thing of 80 px on the left, one of 96 px on the right; green: sky of 64 px below."""
    image = torch.zeros(3, 32, 32)
    image[0, ROWS, LEFT] = image[0, ROWS, RIGHT] = image[1, LOW, 4:12] = 1
    return image


def run_painted(folder, net, names, images=("a",), **options):
    model = toys.model_of(net, class_names=names)
    plan = RunPlan(**{"method": "edges", "instances": True} | options)
    run(SampleList([Sample(key, painted_image()) for key in images]), model, folder, plan)
    return RunInRow.open(folder)


THING_SKY = Painted((0, 1)), ("", "thing", "sky")
