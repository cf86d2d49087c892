"""What the pictures of an explanation say and show, in a folder, a figure or a window."""

import dataclasses
import io
import re
import sys
import types

import matplotlib.figure
import numpy as np
import pytest
import torch
from msgspec.structs import replace

import misure
import toys
from misure.errors import InputError, MisureWarning
from misure.explanation.presentation import make_presentation
from misure.images.cuts import Cut, Lie
from misure.images.nifti_write import write_regions
from misure.reports.axes import CLASS_COLOURS, draw_hatched, rgb
from misure.reports.backdrop import backdrop_of
from misure.reports.canvas import PICTURE_KINDS, show_figure, write_figure
from misure.reports.explanation_panels import PANELS, region_words
from misure.reports.explanation_picture import PictureOptions, save_pictures
from misure.reports.folders import RESULT_FILES, save_result
from misure.reports.segmentation_picture import classes_in, segmentation_panel, tint

STEP = 0.5 / 255 + 1e-6  # of eight bits
FIRST = ["The image", "Sufficient region, not reduced", "Where it matters"]


@pytest.fixture(scope="module")
def square():
    """An explanation of a square, its segmentation and its image."""
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    segmentation = misure.segment(model, image)
    found = misure.explain(model, image, segmentation.target(1), preset="sufficient_region")
    return found, segmentation, image


@pytest.fixture(scope="module")
def cube():
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image(3)
    segmentation = misure.segment(model, image)
    return misure.explain(model, image, segmentation.target(1), max_passes=60), segmentation


def titles(figure):
    return [axes.get_title().replace("\n", " ") for axes in figure.axes]


def said(figure):
    return " ".join(text.get_text() for text in figure.texts)


def test_a_figure_says_what_is_explained_and_names_the_file_alone(square):
    found, segmentation, _ = square
    found = found.with_values(image="/home/a/very/long/path/street.png")
    figure = found.plot()
    assert titles(figure) == FIRST
    assert said(figure).startswith("street.png: why is this class 1?")
    assert "/home" not in said(figure)
    assert "No smaller region was searched for." in said(figure)
    assert region_words(found) == "sufficient region, not reduced"
    assert titles(found.plot(segmentation=segmentation))[1] == "All that the network draws"
    assert found.plot()._repr_png_().startswith(b"\x89PNG")


def test_the_line_of_a_region_is_told_of_only_where_it_is_drawn(square):
    found, _, image = square
    grid = torch.zeros(image.shape[1:], dtype=torch.bool)
    grid[1::3, 1::3] = True
    blocks = torch.zeros_like(grid)
    blocks[2:5, 2:5] = True
    small = found.values.minimally_sufficient_region
    few = replace(small, num_parts=15)  # not dust, though of too many lines to be outlined
    for region, is_told in ((blocks, True), (grid, False), (found.target.region, False)):
        one = dataclasses.replace(found, minimally_sufficient_region=region).with_values(
            minimally_sufficient_region=few
        )
        assert not one.is_dust
        assert ("Blue dashed line" in said(one.plot("minimally_sufficient_region"))) is is_told
        assert "Blue dashed line" not in said(one.plot("image,overlay"))


def test_classes_have_the_same_colours_whichever_is_explained():
    classes = torch.zeros(3, 20, 20)
    classes[1, :, 2:12], classes[2, :5, 14:] = 5, 5
    model = toys.model_of(torch.nn.Identity())
    segmentation = misure.segment(model, classes)
    backdrop = backdrop_of(classes, "", (20, 20))
    drawn = []
    for first in (None, 1, 2):
        axes = matplotlib.figure.Figure().subplots()
        segmentation_panel(segmentation, backdrop, first).draw(axes, Cut())
        drawn.append(np.asarray(axes.images[1].get_array()) / 255)
    assert np.allclose(drawn[0][2, 16, :3], rgb(CLASS_COLOURS[1]), atol=STEP)
    assert all(np.array_equal(one, drawn[0]) for one in drawn)


def test_panels_are_chosen_by_name_and_drawn_on_given_axes(square):
    found, segmentation, _ = square
    figure = matplotlib.figure.Figure()
    axes = figure.subplots(2, 2)
    names = "shown, saliency_map,overlay,image"
    assert found.plot(names, axes=axes, segmentation=segmentation) is figure
    assert titles(figure) == [
        "What the network was shown", "Saliency map", "Where it matters", "The image",
    ]  # fmt: skip
    assert not figure.texts
    with pytest.raises(InputError, match="expected 3 axes, one for each picture, got 4"):
        found.plot(axes=axes)
    with pytest.raises(InputError, match="expected panels among image, .*, got 'map'"):
        found.plot(["image", "map"])
    for name in ("segmentation", "shown"):
        with pytest.raises(InputError, match=f"expected a segmentation for the panel `{name}`"):
            found.plot([name])


def test_the_image_is_the_one_given_or_kept_or_that_of_the_file(square, tmp_path):
    found, segmentation, image = square
    found.save(tmp_path / "e.npz")
    loaded = misure.Explanation.load(tmp_path / "e.npz")
    with pytest.raises(InputError, match=r"the image to draw on.*knows no file"):
        loaded.plot()
    with pytest.raises(InputError, match="there"):
        loaded.with_values(image="nowhere.png").plot()
    with pytest.raises(InputError, match="of shape"):
        loaded.plot(image=image[:, 1:])
    np.save(tmp_path / "square.npy", image.numpy())
    for figure in (
        loaded.plot("image", image=image),
        loaded.with_values(image=str(tmp_path / "square.npy")).plot("image"),
        loaded.plot("image", image=tmp_path / "square.npy", segmentation=segmentation),
    ):
        drawn = figure.axes[0].images[0].get_array() / 255
        assert np.allclose(drawn, image[0].numpy(), atol=STEP)


def test_the_region_is_bright_and_its_words_are_right(square):
    found, _, image = square
    axes = found.plot("sufficient_region").axes[0]
    drawn, region = np.asarray(axes.images[0].get_array()) / 255, found.sufficient_region.numpy()
    assert np.allclose(drawn[region], image[0].numpy()[region], atol=STEP)
    assert np.allclose(drawn[~region], 0.3 * image[0].numpy()[~region], atol=STEP)
    (detail,) = (text.get_text() for text in axes.texts)
    assert f"{100 * region.mean():.1f} % of the image" in detail.replace("\n", " ")
    for fill, words in ((True, "the whole image"), (False, "nothing is needed")):
        other = type(found)(
            **{
                **{name: getattr(found, name) for name in ("target", "saliency_map", "image")},
                "values": found.values,
                "sufficient_region": found.sufficient_region,
                "minimally_sufficient_region": torch.full_like(found.sufficient_region, fill),
            }
        )
        axes = other.plot("minimally_sufficient_region").axes[0]
        assert words in axes.texts[0].get_text().replace("\n", " ")


def test_a_volume_is_cut_in_three_and_says_how(cube, tmp_path):
    found, segmentation = cube
    figure = found.plot(segmentation=segmentation)
    assert len(figure.axes) == 3 * 4
    assert "% of the volume" in said(figure)
    assert "of the image" not in said(figure)
    assert "Each slice is the one with most of the region." in said(figure)
    assert "how it lies in the body is not known" in said(figure)
    middle = found.plot("image", slice_index=7)
    assert "slice 7 of 0 to" in said(middle)
    assert len(middle.axes) == 1
    assert len(found.plot(montage=4).axes) == 4
    with pytest.raises(InputError, match="a montage or a slice_index"):
        found.plot(montage=4, slice_index=1)
    known = found.plot("image", affine=np.diag([1, 1, 3, 1.0]))
    words = [[text.get_text() for text in axes.texts] for axes in known.axes]
    assert [set("RLAPSI") & set(each) for each in words] == [
        set("RLAP"), set("RLSI"), set("APSI"),
    ]  # fmt: skip
    assert all(any(text.endswith(" mm") for text in each) for each in words)


def test_a_file_knows_how_its_volume_lies(cube, tmp_path):
    found, _ = cube
    affine = np.diag([-1, -1, 4, 1.0])
    write_regions({"volume": found.image[0]}, affine, tmp_path, "a test")
    figure = found.with_values(image=str(tmp_path / "volume.nii.gz")).plot("image")
    letters = [text.get_text() for text in figure.axes[0].texts]
    assert letters[-4:] == ["R", "L", "A", "P"]
    _, coronal, _ = figure.axes
    figure.draw_without_rendering()
    box = coronal.get_window_extent()
    size = found.image.shape[1]
    assert box.height / box.width == pytest.approx(4 * size / size, rel=0.02)


def test_dust_is_drawn_as_its_density_and_nothing_else_is(square):
    found, _, _ = square
    small = found.values.minimally_sufficient_region
    dust = found.with_values(
        minimally_sufficient_region=replace(small, num_parts=412, narrow_fraction=0.97)
    )
    details, drawn = [], []
    for one in (found, dust):
        for name in ("sufficient_region", "minimally_sufficient_region"):
            (axes,) = one.plot(name).axes
            details.append(" ".join(axes.texts[0].get_text().split()))
            drawn.append([np.asarray(each.get_array()).shape[2:] for each in axes.images])
    assert "412 specks, drawn by their density; it was shown as it is" in details[3]
    assert not any("density" in detail for detail in details[:3])
    assert drawn[:3] == [[()]] * 3
    assert drawn[3] == [(), (4,)]  # in grey, and the density over it
    (axes,) = dust.plot("overlay").axes
    assert "its mean around each pixel" in " ".join(axes.texts[0].get_text().split())


def test_one_channel_is_drawn_and_all_are_named():
    model = toys.model_of(toys.OwnBrightness(), channel_names=("t1", "t2", "flair", "pd"))
    square = toys.square_image()
    image = torch.cat([square, *(k * torch.ones_like(square) for k in range(3))])
    segmentation = misure.segment(model, image)
    figure = segmentation.plot()
    assert "Drawn: t1, one of 4 channels (t1, t2, flair, pd)." in said(figure)
    assert "Drawn: flair, one" in said(segmentation.plot(channel="flair"))
    assert "Black is" in said(segmentation.plot(channel=3))
    with pytest.raises(InputError, match="expected a channel among 0 to 3 or t1, t2, flair, pd"):
        segmentation.plot(channel="dwi")
    colours = backdrop_of(image[:3], "", image.shape[1:], channel_names=("a", "b", "c"))
    assert colours.colours(Cut()).shape == (*image.shape[1:], 3)
    assert colours.notes[0] == "Drawn as red, green and blue: a, b, c."


def test_the_colours_of_overlapping_classes_are_mixed():
    model, image = toys.Overlap.model(), toys.Overlap.image(12)
    segmentation = misure.segment(model, image)
    by_class = classes_in(segmentation, Cut())
    assert {index: int(region.sum()) for index, region in by_class.items()} == {0: 64, 1: 9}
    colours = tint(by_class, [(0, "#ff0000"), (1, "#0000ff")])
    assert colours[2, 2].tolist() == [1, 0, 0, 0.6]
    assert colours[4, 4].tolist() == [0.5, 0, 0.5, 0.6]
    assert colours[10, 10, 3] == 0
    (axes,) = segmentation.plot().axes
    assert {text.get_text() for text in axes.texts} >= {"whole", "core"}
    assert "whole 44.4 %, core 6.2 %" in {text.get_text() for text in axes.texts}
    target = segmentation.target(1).plot(image)
    assert "outlined: the core (9 px, 6.2 %)" in {text.get_text() for text in target.axes[0].texts}


def test_what_nothing_is_known_about_is_hatched_in_the_map():
    axes = matplotlib.figure.Figure().subplots()
    unknown = np.zeros((64, 64), bool)
    unknown[:, 40:] = True
    draw_hatched(axes, ~unknown & unknown)
    assert not axes.images
    draw_hatched(axes, unknown)
    drawn = np.asarray(axes.images[0].get_array())
    finer = len(drawn) // 64
    assert np.array_equal(drawn[::finer, ::finer, 3] == 255, unknown)
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


def test_a_folder_holds_the_panels_that_were_asked_for(square, tmp_path):
    found, segmentation, image = square
    presentation = make_presentation(segmentation.model, image)
    options = PictureOptions(["overlay", "shown"], "svg", 50)
    save_result(found, presentation, segmentation, tmp_path, pictures=options)
    names = {path.name for path in tmp_path.iterdir()}
    assert {name for name in names if name.endswith("svg")} == {
        "overview.svg", "overlay.svg", "shown.svg",
    }  # fmt: skip
    assert names <= set(RESULT_FILES)
    assert {f"{name}.{kind}" for name in PANELS for kind in PICTURE_KINDS} <= set(RESULT_FILES)
    for wrong in ({"panels": ["map"]}, {"kind": "jpg"}, {"dpi": 0}, {"panels": []}):
        with pytest.raises(InputError, match="expected"):
            PictureOptions(**wrong)


@pytest.mark.slow
def test_a_volume_has_a_montage_too(cube, tmp_path, monkeypatch):
    found, segmentation = cube
    written = []
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda _, path, **__: written.append(path.name)
    )
    presentation = make_presentation(segmentation.model, found.image)
    save_pictures(found, presentation, segmentation, tmp_path, lie=Lie())
    assert written == ["overview.png", *(f"{name}.png" for name in PANELS), "montage.png"]


@pytest.mark.parametrize("kind", PICTURE_KINDS)
def test_the_same_figure_gives_the_same_bytes(square, kind):
    found, _, _ = square
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        write_figure(found.plot("image"), file, kind=kind, dpi=40)
    first, second = (file.getvalue() for file in files)
    assert first == second
    assert not re.search(rb"CreationDate|<dc:date>", first)


BACKEND = """
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backend_bases import FigureManagerBase
shown = []
class FigureManager(FigureManagerBase):
    def show(self): pass
    @classmethod
    def pyplot_show(cls, *, block=None):
        from matplotlib import pyplot
        shown.extend(pyplot.figure(number) for number in pyplot.get_fignums())
class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
"""


def test_a_window_is_opened_where_there_is_one(square, monkeypatch):
    from matplotlib import pyplot

    found, _, _ = square
    backend = types.ModuleType("some_window")
    exec(BACKEND, backend.__dict__)
    monkeypatch.setitem(sys.modules, "some_window", backend)
    before = matplotlib.get_backend()
    try:
        pyplot.switch_backend("module://some_window")
        found.show("image")
        assert [titles(figure) for figure in backend.shown] == [["The image"]]
    finally:
        pyplot.close("all")
        pyplot.switch_backend(before)
    pyplot.switch_backend("agg")
    with pytest.warns(MisureWarning, match=r"No window can be opened here. .*savefig"):
        found.show("image")


def test_a_notebook_shows_the_figure(square, monkeypatch):
    found, _, _ = square
    shown = []
    display = types.ModuleType("IPython.display")
    display.display = shown.append
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    figure = found.plot("image")
    show_figure(figure)
    assert shown == [figure]
