"""What the pictures of an explanation say, and what they show of overlapping classes."""

import matplotlib.figure
import numpy as np
import pytest
from msgspec.structs import replace

import misure
import toys
from misure.explanation.presentation import make_presentation
from misure.images.orientation import AS_STORED
from misure.reports.axes import draw_hatched
from misure.reports.explanation_picture import (
    _draw_region,
    _tint,
    _view,
    region_words,
    save_pictures,
)
from misure.reports.folders import save_result


def _titles(monkeypatch):
    """Every title that is set from now on."""
    said = []
    whole = matplotlib.figure.Figure.suptitle

    def note(figure, text, **options):
        said.append(text)
        return whole(figure, text, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "suptitle", note)
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda *_, **__: None)  # slow
    return said


def test_the_title_names_the_file_alone_and_what_was_not_reduced(tmp_path, monkeypatch):
    said = _titles(monkeypatch)
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    segmentation = misure.segment(model, image)
    found = misure.explain(model, image, segmentation.target(1), preset="sufficient_region")
    found = found.with_values(image="/home/a/very/long/path/street.png")
    save_pictures(found, make_presentation(model, image), segmentation, tmp_path)
    assert said[0].startswith("street.png: why is this")
    assert "No smaller region was searched for." in " ".join(said[0].split())
    assert region_words(found) == "sufficient region, not reduced"


def test_a_volume_has_voxels_and_a_volume(tmp_path, monkeypatch):
    said = _titles(monkeypatch)
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image(3)
    segmentation = misure.segment(model, image)
    found = misure.explain(model, image, segmentation.target(1), max_passes=60)
    save_result(found, make_presentation(model, image), segmentation, tmp_path)
    assert "% of the volume" in said[0]
    assert "region of the image" not in said[0]


def test_dust_is_drawn_as_its_density_and_nothing_else_is():
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    segmentation = misure.segment(model, image)
    found = misure.explain(model, image, segmentation.target(1), max_passes=60)
    small = found.values.minimally_sufficient_region
    dust = found.with_values(
        minimally_sufficient_region=replace(small, num_parts=412, narrow_fraction=0.97)
    )
    view = _view(found, make_presentation(model, image), segmentation, AS_STORED)
    titles, drawn = [], []
    for one in (found, dust):
        for name in ("sufficient_region", "minimally_sufficient_region"):
            axes = matplotlib.figure.Figure().subplots()
            _draw_region(axes, name, view, one)
            titles.append(axes.get_title())
            drawn.append([np.asarray(each.get_array()).shape[2:] for each in axes.images])
    assert "density of its 412 specks; it was shown as it is" in titles[3]
    assert not any("density" in title for title in titles[:3])
    assert drawn[:3] == [[()]] * 3
    assert drawn[3] == [(), (4,)]  # in grey, and the density over it


def test_the_colours_of_overlapping_classes_are_mixed():
    model, image = toys.Overlap.model(), toys.Overlap.image(12)
    segmentation = misure.segment(model, image)
    found = misure.explain(model, image, segmentation.target(0), max_passes=60)
    view = _view(found, make_presentation(model, image), segmentation, AS_STORED)
    assert {index: int(region.sum()) for index, region in view.by_class.items()} == {0: 64, 1: 9}
    tint = _tint(view, [(0, "#ff0000"), (1, "#0000ff")])
    assert tint[2, 2].tolist() == [1, 0, 0, 0.65]
    assert tint[4, 4].tolist() == [0.5, 0, 0.5, 0.65]
    assert tint[10, 10, 3] == 0


def test_what_nothing_is_known_about_is_hatched_in_the_map():
    axes = matplotlib.figure.Figure().subplots()
    unknown = np.zeros((64, 64), bool)
    unknown[:, 40:] = True
    draw_hatched(axes, ~unknown & unknown)
    assert not axes.images
    draw_hatched(axes, unknown)
    drawn = np.asarray(axes.images[0].get_array())
    finer = len(drawn) // 64
    assert np.array_equal(drawn[::finer, ::finer, 3] == 1, unknown)
    assert len(np.unique(drawn[:, -1, 0])) == 2  # stripes


@pytest.mark.parametrize("side", [6, 40, 900])
def test_stripes_run_along_diagonals_however_few_pixels_there_are(side):
    axes = matplotlib.figure.Figure().subplots()
    draw_hatched(axes, np.ones((side, side), bool))
    (drawn,) = axes.images
    assert tuple(drawn.get_extent()) == (-0.5, side - 0.5, side - 0.5, -0.5)
    grey = np.asarray(drawn.get_array())[..., 0]
    assert np.array_equal(grey[1:, :-1], grey[:-1, 1:])  # one colour along each of them
    row = grey[0] < grey[0].max()
    starts = np.flatnonzero(row[1:] & ~row[:-1])
    assert 28 <= len(starts) <= 34
    assert row.sum() >= 3 * len(starts)  # wide enough to be no chessboard
