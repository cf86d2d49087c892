"""Context where classes overlap: every class of a pixel counts."""

import torch
from torch import nn

import misure
from misure.runs.context import context_entries, context_shares
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run


class _Regions(nn.Module):
    """Whole: from 0.3 on; core: from 0.7 on; marked: channel 1 anywhere bright."""

    def forward(self, images):
        grey, marks = images[:, :1], images[:, 1:]
        seen = marks.flatten(1).amax(1).view(-1, 1, 1, 1) - 0.5
        marked = torch.minimum(marks - 0.5, seen)
        lit = grey.flatten(1).amax(1).view(-1, 1, 1, 1) - 0.5  # it needs something bright
        return torch.cat([grey - 0.3, grey - 0.7, torch.minimum(marked, lit)], dim=1)


def _case():
    image = torch.zeros(2, 24, 24)
    image[0, 4:12, 4:12] = 1.0
    image[1, 14:20, 14:20] = 1.0
    model = misure.SegmentationModel(
        _Regions(), multilabel=True, class_names=("whole", "core", "marked")
    )
    return model, image


def test_a_pixel_counts_for_each_of_its_classes(tmp_path):
    model, image = _case()
    segmentation = misure.segment(model, image)
    target = segmentation.target(2)
    found = misure.explain(model, image, target, one_minimal=True, minimality_cell_px=1)
    entries = {e.class_name: e.pixels for e in context_entries(found, segmentation)}
    outside = int((found.minimally_sufficient_region & ~target.region).sum())
    assert entries["whole"] == entries["core"] > 0
    assert entries["whole"] + entries.get("none", 0) == outside
    run([misure.datasets.Sample("a", image)], model, tmp_path / "run", RunPlan(classes=("marked",)))
    (record,) = read_run(tmp_path / "run")
    shares = context_shares(record)
    assert shares[0] == shares[1] > 0
    assert shares[0] <= record.minimally_sufficient_region.outside_target_fraction + 1e-9
