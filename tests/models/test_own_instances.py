"""The recipe of the guide for a user's own network of instances, opened by `python:`."""

import re
from pathlib import Path

import torch

import misure
from misure.models.segmentation import segment

GUIDE = Path(__file__).parents[2] / "docs/guide/instances.md"


def test_the_recipe_of_the_guide_is_opened_from_a_file(tmp_path):
    (recipe,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.S)
    made, _, _ = recipe.partition("image = ")
    (tmp_path / "own.py").write_text(f"{made}\n\ndef network():\n    return model\n")
    model = misure.load_model(f"python:{tmp_path}/own.py:network", device="cpu")
    image = torch.zeros(1, 16, 32)
    image[:, 4:12, 4:12] = image[:, 6:10, 20:26] = 1
    target = segment(model, image).target(0, instance=1)
    assert torch.equal(target.region, image[0].bool() & (torch.arange(32) >= 16))
    found = misure.explain(model, image, target)
    assert found.dice >= 0.9
    assert not bool(found.minimally_sufficient_region[:, :16].any())
