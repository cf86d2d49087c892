"""When a region is dust, and what is said of it."""

import msgspec
import pytest
import torch

import misure
import toys
from misure.explanation.dust import narrow_fraction


def test_what_no_square_of_a_64th_of_the_short_side_covers_is_narrow():
    region = torch.zeros(256, 300, dtype=torch.bool)
    region[10:14, 10:14] = True  # 4 px: broad
    region[30:33, 10:20] = True  # 3 px
    region[100:102, 100:102] = True
    assert narrow_fraction(region) == pytest.approx(34 / 50)
    assert narrow_fraction(region[:90, :90]) == 0  # 2 px are broad there
    assert narrow_fraction(region[:90, :11]) == 1  # one column of both is left
    assert narrow_fraction(torch.zeros(256, 256, dtype=torch.bool)) == 0
    assert narrow_fraction(torch.ones(256, 256, dtype=torch.bool)) == 0


def test_in_a_volume_the_unit_is_the_smallest_side_of_a_voxel():
    region = torch.zeros(64, 128, 128, dtype=torch.bool)
    region[5, 10:12, 10:12] = True  # 2 x 2 x 2 units, if a voxel is two units deep
    assert narrow_fraction(region, (2.0, 1.0, 1.0)) == 0
    region[20, 10:12, 10] = True
    assert narrow_fraction(region, (2.0, 1.0, 1.0)) == pytest.approx(2 / 6)


@pytest.fixture(scope="module")
def explanation():
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    target = misure.segment(model, image).target(1)
    return misure.explain(model, image, target, max_passes=60, num_minimality_tests=0)


@pytest.mark.parametrize(
    ("num_parts", "narrow", "expected"),
    [(412, 0.97, True), (412, 0.5, False), (20, 0.97, False), (21, 0.51, True)],
)
def test_many_narrow_parts_are_dust_and_are_said_to_be(explanation, num_parts, narrow, expected):
    assert not explanation.is_dust
    assert explanation.dust_note == ""
    small = msgspec.structs.replace(
        explanation.values.minimally_sufficient_region,
        num_parts=num_parts,
        narrow_fraction=narrow,
        dice_by_baseline_image={"mean": 0.9, "blurred": 0.9},
    )
    changed = explanation.with_values(minimally_sufficient_region=small)
    assert changed.is_dust == expected
    said = (
        f"The region is dust: {num_parts} narrow specks. It is verified like any region, but as "
        "evidence about this network on this baseline image (mean and blurred); it is no part that "
        "a person could point at, and --preset readable looks for such parts."
    )
    assert changed.dust_note == (said if expected else "")


def test_the_record_has_what_was_measured(explanation):
    small = explanation.values.minimally_sufficient_region
    assert small.narrow_fraction == narrow_fraction(explanation.minimally_sufficient_region)
