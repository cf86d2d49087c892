"""The plugin in napari itself, where it is installed; without a screen."""

import os
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import misure
import toys
from misure.napari.explain_widget import _HINT, ExplainPanel
from misure.napari.run_widget import RunPanel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of napari's own libraries
    napari = pytest.importorskip("napari")
    pytest.importorskip("napari.viewer")  # the folder of these tests has its name, too
HAS_SCREEN = bool(os.environ.get("DISPLAY"))  # that of xvfb-run will do
if not HAS_SCREEN:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.slow]

MANIFEST = Path(misure.__file__).parent / "napari" / "napari.yaml"


@pytest.fixture
def viewer():
    """A viewer without a window, which needs no OpenGL."""
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    yield ViewerModel()
    application.processEvents()


def _wait(panel):
    from qtpy.QtWidgets import QApplication

    ticks, end = 0, time.monotonic() + 60
    while panel._work.is_busy and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
        ticks += 1
    assert not panel._work.is_busy, panel.said.text()
    return ticks


@pytest.fixture
def picture(tmp_path):
    pixels = np.zeros((40, 40), np.uint8)
    pixels[5:9, 5:9] = pixels[20:36, 20:36] = 255
    Image.fromarray(pixels).save(tmp_path / "two.png")
    (tmp_path / "nets.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(toys.__file__).parent)!r})\n"
        "import misure, toys\ndef net():\n    return misure.SegmentationModel(\n"
        "        toys.OwnBrightness(), class_names=('dark', 'bright'), num_channels=1)\n"
    )
    return tmp_path


def test_the_manifest_is_valid():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert {one.display_name for one in manifest.contributions.widgets} == {
        "Explain",
        "Objects of a run",
    }


def test_a_click_explains_what_is_there(viewer, picture):
    panel = ExplainPanel(viewer)
    panel.begin_segment()
    assert panel.said.text() == "Name a network and choose an image first."
    panel.open_image(str(picture / "two.png"))
    panel.model.setText(f"python:{picture}/nets.py:net")
    panel.preset.setCurrentText("quick")
    panel.begin_segment()
    _wait(panel)
    assert panel.objects.count() == 4
    panel.begin_at((25, 25))
    _wait(panel)
    assert "suffices for the bright" in panel.said.text()
    assert viewer.layers["bright: target"].data.sum() == 256
    assert viewer.layers["bright: target"].contour == 1
    assert viewer.layers["bright: minimal region"].data.any()
    assert panel.image.count() == 1  # no map of an explanation
    panel.model.setText("nonsense:")
    panel.begin_segment()
    _wait(panel)
    assert "load_model: expected" in panel.said.text()


def test_a_click_in_the_3d_display_explains_what_is_seen_there(viewer, picture):
    nibabel = pytest.importorskip("nibabel")
    volume = np.zeros((12, 14, 16), np.float32)
    volume[2:5, 2:5, 2:5] = volume[2:5, 2:5, 10:14] = 1  # one behind the other, from the feet
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([2.0, 2, 3, 1])), picture / "v.nii.gz")
    panel = ExplainPanel(viewer)
    panel.open_image(str(picture / "v.nii.gz"))
    panel.model.setText(f"python:{picture}/nets.py:net")
    panel.preset.setCurrentText("quick")
    panel.begin_segment()
    _wait(panel)
    viewer.dims.ndisplay = 3
    layer = panel._layer
    centre = np.array(layer.data_to_world((3, 10, 8)))  # of voxel (3, 3, 3)

    def click(direction, at=centre):
        event = SimpleNamespace(
            type="mouse_press", position=at, view_direction=np.array(direction, float),
            dims_displayed=[0, 1, 2],
        )  # fmt: skip
        gesture = panel._on_mouse(viewer, event)
        next(gesture)
        event.type = "mouse_release"
        assert list(gesture) == []
        _wait(panel)
        return viewer.layers["bright: target"].data.sum() if panel.said.text() != _HINT else 0

    assert click((1, 0, 0)) == 27  # from the feet
    viewer.layers.remove("bright: target")
    assert click((-1, 0, 0)) == 36  # from the head
    assert click((1, 0, 0), np.array(layer.data_to_world((3, 2, 2)))) == 0
    assert click((1, 0, 0), np.array([0.0, 500, 500])) == 0


def test_a_cancelled_search_adds_nothing(viewer, picture):
    panel = ExplainPanel(viewer)
    panel.open_image(str(picture / "two.png"))
    panel.model.setText(f"python:{picture}/nets.py:net")
    panel.begin_segment()
    _wait(panel)
    num_layers = len(viewer.layers)
    panel.begin_chosen()
    panel.begin_chosen()
    assert "Still at work" in panel.said.text()
    panel.stop()
    _wait(panel)
    assert panel.said.text() == "Cancelled."
    assert len(viewer.layers) == num_layers


@pytest.fixture
def finished_run(picture):
    """A run over one picture."""
    model = misure.load_model(f"python:{picture}/nets.py:net")
    (picture / "photos").mkdir()
    (picture / "two.png").rename(picture / "photos" / "two.png")
    plan = misure.RunPlan(method_options={"preset": "quick", "max_passes": 30})
    misure.run(str(picture / "photos"), model, picture / "run", plan)
    return picture / "run"


def test_the_objects_of_a_run(viewer, finished_run):
    panel = RunPanel(viewer)
    panel.open(finished_run)
    assert panel.table.rowCount() == 1
    panel.show(0)
    assert viewer.layers["two.png"].data.shape == (40, 40)
    assert viewer.layers["two.png#1: target"].data.sum() == 272
    assert viewer.layers["two.png#1: target"].contour == 1
    photograph = finished_run.parent / "photos" / "two.png"
    Image.fromarray(np.zeros((80, 40), np.uint8)).save(photograph)  # another one of its name
    panel.open(finished_run)
    panel.show(0)
    assert "two.png" not in viewer.layers
    assert np.allclose(
        viewer.layers["two.png (thumbnail)"].extent.world,
        viewer.layers["two.png#1: target"].extent.world,
    )
    panel.open(finished_run.parent)
    assert "expected the folder of a run" in panel.said.text()


@pytest.mark.skipif(not HAS_SCREEN, reason="a window of napari needs OpenGL")
def test_the_plugin_in_a_window(finished_run):
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager.instance()
    if "misure" not in manager:
        manager.register(PluginManifest.from_file(MANIFEST))
    window = napari.Viewer(show=False)
    try:
        (record,) = misure.read_run(finished_run)
        window.open(str(finished_run / record.map), plugin="misure")
        assert window.layers["bright: target"].contour == 1
        _, widget = window.window.add_plugin_dock_widget("misure", "Explain")
        assert widget.panel.said.text() == "Name a network and choose an image."
        assert window.open(str(finished_run), plugin="misure") == []
        _, widget = window.window.add_plugin_dock_widget("misure", "Objects of a run")
        assert widget.panel.table.rowCount() == 1
    finally:
        window.close()
