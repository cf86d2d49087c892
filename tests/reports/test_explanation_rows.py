"""The rows in which an explanation's values are told."""

from msgspec.structs import replace

import misure
import toys
from misure.reports.explanation_rows import explanation_rows


def test_each_value_stands_in_the_row_that_it_is_of():
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    found = misure.explain(model, image, misure.predicted_target(model, image, 1), max_passes=60)
    values = found.values
    small = replace(values.minimally_sufficient_region, num_parts=3, grain_px=4)
    rows = {row[0]: row[1:] for row in explanation_rows(replace(
        values, minimally_sufficient_region=small
    ))}  # fmt: skip
    assert rows["target"][-1] == "class 1"  # it has no name
    assert rows["minimally_sufficient_region"][-1].endswith(
        " of it outside, in 3 parts of 4 px or more"
    )
    assert rows["its outline alone"] == ["", f"{found.silhouette_dice:.3f}", ""]
    small = replace(small, num_parts=1, grain_px=1)
    rows = explanation_rows(replace(values, minimally_sufficient_region=small))
    assert rows[2][-1].endswith(" of it outside, in 1 part")
