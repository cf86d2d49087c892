import numpy as np

from misure.models.prompts import parse_prompt
from misure.reports.axes import draw_prompt
from misure.reports.canvas import Figure


def test_points_and_boxes_lie_where_the_prompt_says():
    axes = Figure().subplots()
    draw_prompt(axes, parse_prompt("box:1,2,5,9;3,4;-6,7"), "white", 1.0)
    inside, outside, box = (np.stack(line.get_data(), 1) for line in axes.lines)  # (x, y)
    assert inside.tolist() == [[4, 3]]
    assert outside.tolist() == [[7, 6]]
    assert (box.min(0).tolist(), box.max(0).tolist()) == ([1.5, 0.5], [8.5, 4.5])
