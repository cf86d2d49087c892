"""No text of a figure covers a picture or another text, whatever its length and their shapes."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from misure.reports.axes import map_scale
from misure.reports.canvas import wrapped
from misure.reports.layout import Cell, arrange

LONG = "a_file_with_a_very_long_name_and_no_space_" * 6 + ".png: why is this class 3?"
SENTENCES = "Shown alone, 12 % of the image suffices for it: Dice 0.91. " * 9
TITLE, DETAIL = "Minimally sufficient region", "bright: shown alone, 12.3 % gives Dice 0.912 " * 2


def boxes(figure):
    """The boxes of all texts, and those of all pictures, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for text in figure.texts if text.get_text()]
    pictures = []
    for axes in figure.axes:
        pictures.append(axes.get_window_extent(renderer))
        texts += [axes.title] if axes.get_title() else []
        own = [text for text in axes.texts if text.get_text()]
        texts += [text for text in own if text.get_position()[1] >= 1]
        for bar in axes.child_axes:
            pictures.append(bar.get_window_extent(renderer))
            texts += list(bar.texts)
    return [text.get_window_extent(renderer) for text in texts], pictures


def covers(a, b):
    """Whether two boxes have more than a hair in common."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return width > 0.5 and height > 0.5


def check(figure):
    texts, pictures = boxes(figure)
    assert texts
    assert pictures
    for text in texts:
        assert not any(covers(text, picture) for picture in pictures)
        assert text.x0 >= -0.5
        assert text.y0 >= -0.5
        assert text.x1 <= figure.bbox.x1 + 0.5
        assert text.y1 <= figure.bbox.y1 + 0.5
    for a, b in itertools.combinations(texts, 2):
        assert not covers(a, b)
    for a, b in itertools.combinations(pictures, 2):
        assert not covers(a, b)


SHAPES, NUMBERS = [(30, 300), (300, 30), (50, 60)], [1, 4, 7]
QUICK = [((30, 300), 1), ((300, 30), 4)]


@pytest.mark.parametrize(
    ("shape", "num"),
    [
        pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow)
        for pair in itertools.product(SHAPES, NUMBERS)
    ],
)
def test_titles_never_cover_pictures(shape, num):
    image = np.zeros(shape)
    cell = Cell(
        lambda axes: axes.imshow(image) and axes.set_axis_off(),
        TITLE,
        DETAIL,
        ratio=shape[0] / shape[1],
        draw_bar=map_scale().draw,
    )
    figure = arrange([cell] * num, heading=LONG, text=SENTENCES, notes=SENTENCES)
    check(figure)
    for axes in figure.axes:  # and nothing is stretched
        box = axes.get_window_extent()
        assert box.height / box.width == pytest.approx(shape[0] / shape[1], rel=0.01)


def test_rows_with_names_have_one_bar_at_the_end():
    def draw(axes):
        axes.imshow(np.zeros((20, 20)))
        axes.set_axis_off()

    cell = Cell(draw, TITLE, DETAIL, draw_bar=map_scale().draw, caption="iou 0.123")
    figure = arrange(
        [cell] * 6, columns=2, row_labels=["axial slice 13 of 0 to 37"] * 3, heading=LONG
    )
    check(figure)
    assert [len(axes.child_axes) for axes in figure.axes] == [0, 0, 0, 0, 1, 1]
    assert [bool(axes.get_title()) for axes in figure.axes] == [True] * 2 + [False] * 4


def test_lines_are_as_wide_as_they_may_be():
    lines = wrapped("one two three four five six seven", 1.0, 10)
    assert len(lines) > 2
    assert " ".join(lines) == "one two three four five six seven"
    assert "".join(wrapped("x" * 100, 1.0, 10)) == "x" * 100
    assert wrapped("a\nb", 5, 10) == ["a", "b"]
    for text in ("a target (26,035 px, 39.4 %)", "some words that give Dice 0.942"):
        for tenths in range(14, 30):  # a figure stays with its unit
            lines = wrapped(text, tenths / 10, 10)
            assert " ".join(lines) == text
            assert not any(line.startswith(("%", "px", "0.942")) for line in lines)


def test_the_narrowest_pictures_stand_in_one_row():
    figure = arrange([Cell(lambda axes: None, "title", ratio=50.0)] * 3)
    assert len({axes.get_position().y0 for axes in figure.axes}) == 1
    assert figure.get_size_inches()[1] < 17


def test_a_long_word_is_cut_where_the_line_is_full():
    for word in ("i" * 900, "w" * 300):
        lines = wrapped(word, 2.0, 9)
        assert "".join(lines) == word
        assert {len(line) for line in lines[:-1]} == {len(lines[0])}
        assert wrapped(lines[0] + word[0], 2.0, 9) == [lines[0], word[0]]


def test_no_character_breaks_an_svg():
    import io
    from xml.dom import minidom

    from misure.reports.canvas import write_figure

    file = io.BytesIO()
    cell = Cell(lambda axes: None, "a\x1bb", "\x00")
    write_figure(arrange([cell], heading="<b>\x1b[31m\u202e"), file, kind="svg")
    minidom.parseString(file.getvalue())
    assert wrapped("a\x1bb", 9, 9) == ["a\\x1bb"]
