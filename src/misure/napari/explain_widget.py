"""The widget that explains what a network segments on an image of the viewer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.optional import require
from misure.errors import MisureError, reason_of
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.presets import DEFAULT_PRESET, PRESETS
from misure.images.spacing import known_spacing
from misure.models.loaders import load_model
from misure.models.model import SegmentationModel
from misure.models.target import Target
from misure.napari.layers import MARK, add_layers, explanation_layers, segmentation_layer
from misure.napari.scene import Choice, Scene, image_of_layer, open_file
from misure.napari.work import CancelledError, OnStep, Work

_EVERY_MS = 100
_HINT = "Click an object in the picture, or choose one above."


def explain_widget() -> Any:
    """The widget of the viewer that is open, a QWidget, for napari's menu of plugins."""
    napari = require("napari", extra="napari", purpose="show a widget")
    panel = ExplainPanel(napari.current_viewer())
    panel.widget.panel = panel  # lives as long as what it serves
    return panel.widget


class ExplainPanel:
    """Model, image, object, search; the network works in a thread, so the window stays alive.

    Args:
        viewer: of napari, to which results are added as layers.

    Attributes:
        widget: to dock.
    """

    def __init__(self, viewer: Any) -> None:
        qt = require("qtpy.QtWidgets", extra="napari", purpose="show a widget")
        core = require("qtpy.QtCore", extra="napari", purpose="show a widget")
        self._qt, self._viewer, self._work = qt, viewer, Work()
        self._models: dict[str, SegmentationModel] = {}
        self._scene: Scene | None = None
        self._layer: Any = None  # of the segmentation
        self._then: Any = None  # takes the result of what is at work
        self._build()
        self._timer = core.QTimer(self.widget)
        self._timer.timeout.connect(self.look)
        self.widget.destroyed.connect(self.close)
        viewer.layers.events.inserted.connect(self._list_images)
        viewer.layers.events.removed.connect(self._list_images)
        viewer.mouse_drag_callbacks.append(self._on_mouse)
        self._list_images()
        self._enable()

    def _build(self) -> None:
        qt = self._qt
        self.widget = qt.QWidget()
        form = qt.QFormLayout(self.widget)
        form.setFieldGrowthPolicy(qt.QFormLayout.AllNonFixedFieldsGrow)
        self.model = qt.QLineEdit()
        self.model.setPlaceholderText("hf:FOLDER, onnx:FILE, trained:FOLDER …")
        self.model.setToolTip("The spec of a network, as `misure explain --model` takes it")
        browse, opens = qt.QPushButton("File…"), qt.QPushButton("Open…")
        browse.clicked.connect(self._browse_model)
        opens.clicked.connect(self._browse_image)
        self.image = qt.QComboBox()
        self.segment = qt.QPushButton("Segment")
        self.segment.clicked.connect(self.begin_segment)
        self.objects = qt.QListWidget()
        self.objects.setMinimumHeight(90)
        self.preset = qt.QComboBox()
        self.preset.addItems(list(PRESETS))
        self.preset.setCurrentText(DEFAULT_PRESET)
        self.preset.setToolTip(PRESETS[DEFAULT_PRESET].summary)
        self.preset.currentTextChanged.connect(
            lambda name: self.preset.setToolTip(PRESETS[name].summary)
        )
        self.threshold = qt.QDoubleSpinBox()
        self.threshold.setRange(0.01, 1.0)
        self.threshold.setSingleStep(0.05)
        self.threshold.setValue(0.9)
        self.threshold.setToolTip("Dice from which the object counts as segmented as before")
        self.on_click = qt.QCheckBox("A click on an object explains it")
        self.on_click.setChecked(True)
        self.explain = qt.QPushButton("Explain")
        self.explain.clicked.connect(self.begin_chosen)
        self.cancel = qt.QPushButton("Cancel")
        self.cancel.clicked.connect(self.stop)
        self.bar = qt.QProgressBar()
        self.said = qt.QLabel("Name a network and choose an image.")
        self.said.setWordWrap(True)
        form.addRow("Network", self._row(self.model, browse))
        form.addRow("Image", self._row(self.image, opens))
        form.addRow(self.segment)
        form.addRow(self.objects)
        form.addRow("Preset", self.preset)
        form.addRow("Dice threshold", self.threshold)
        form.addRow(self.on_click)
        form.addRow(self._row(self.explain, self.cancel))
        form.addRow(self.bar)
        form.addRow(self.said)

    def _row(self, *parts: Any) -> Any:
        row = self._qt.QHBoxLayout()
        for part in parts:
            row.addWidget(part, 0 if len(parts) == 2 and part is parts[1] else 1)
        return row

    def begin_segment(self) -> None:
        """Loads the network, if it is another one, and segments the chosen image."""
        spec, layer = self.model.text().strip(), self._chosen_layer()
        if not spec or layer is None:
            self.say("Name a network and choose an image first.")
            return
        known = self._models.get(spec)

        def task(on_step: OnStep) -> tuple[SegmentationModel, Scene]:
            model = known or load_model(spec)
            on_step("segmenting", 0, None)
            return model, Scene.of(model, image_of_layer(layer, model))

        def then(result: tuple[SegmentationModel, Scene]) -> None:
            model, scene = result
            self._models = {spec: model}  # one at a time: networks are large
            self._show_scene(scene, layer)

        self._begin("loading the network" if known is None else "segmenting", task, then)

    def begin_chosen(self) -> None:
        """Explains the entry of the list that is chosen."""
        choice = self._choice()
        if self._scene is None or choice is None:
            self.say(_HINT)
            return
        self._begin_explain(self._scene, choice)

    def begin_at(self, indices: Any) -> None:
        """Explains the object at a place of the layer that shows the segmentation."""
        if self._scene is not None:
            choice = self._choice()
            preferred = None if choice is None else choice.class_index
            try:
                target = self._scene.clicked(indices, preferred)
            except MisureError as error:
                self.say(str(error))
                return
            self._begin_explain(self._scene, target)

    def stop(self) -> None:
        """Ends what is at work at its next step."""
        self._work.cancel()
        self.say("Cancelling …")

    def look(self) -> None:
        """Shows how far the work is, and its result once it is there."""
        doing, ended = self._work.doing, self._work.outcome()
        if ended is None:
            self.bar.setRange(0, doing.total or 0)
            self.bar.setValue(doing.done)
            if not self._work.is_ending:
                of_all = f": {doing.done} of {doing.total}" if doing.total else ""
                self.say(f"{doing.what}{of_all}")
            return
        self._timer.stop()
        self._enable()
        try:
            result = ended.result()
        except CancelledError:
            self.say("Cancelled.")
        except Exception as error:  # a network may raise anything
            self.say(str(error) if isinstance(error, MisureError) else reason_of(error))
        else:
            self._then(result)

    def say(self, text: str) -> None:
        """Shows a sentence below."""
        self.said.setText(text)

    def close(self) -> None:
        """Ends the work, and hears nothing of the viewer any more."""
        self._work.close()
        self._viewer.layers.events.inserted.disconnect(self._list_images)
        self._viewer.layers.events.removed.disconnect(self._list_images)
        if self._on_mouse in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_mouse)

    def _begin(self, what: str, task: Any, then: Any) -> None:
        if self._work.is_busy:
            self.say("Still at work: wait for it, or cancel it.")
            return
        self._then = then
        self._work.begin(what, task)
        self.say(what)
        self._enable()
        self._timer.start(_EVERY_MS)

    def _begin_explain(self, scene: Scene, chosen: Target | Choice) -> None:
        preset, threshold = self.preset.currentText(), self.threshold.value()
        image = scene.image

        def task(on_step: OnStep) -> Explanation:
            target = scene.chosen(chosen) if isinstance(chosen, Choice) else chosen
            explanation = explain(
                scene.segmentation.model,
                image.pixels.to(scene.segmentation.model.device),
                target,
                preset=preset,
                dice_threshold=threshold,
                spacing_mm=known_spacing(image.spacing_mm),
                on_step=on_step,
            )
            return explanation.with_values(image=image.name)

        def then(explanation: Explanation) -> None:
            add_layers(self._viewer, explanation_layers(explanation, image.placement))
            self.say(explanation.summary())

        self._begin("explaining", task, then)

    def _show_scene(self, scene: Scene, layer: Any) -> None:
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._scene = scene
        name = f"{layer.name}: segmentation"
        seen = segmentation_layer(scene.segmentation, scene.image.placement, name)
        (self._layer,) = add_layers(self._viewer, [seen])
        self.objects.clear()
        for choice in scene.choices():
            item = self._qt.QListWidgetItem(choice.label)
            item.choice = choice
            self.objects.addItem(item)
        self.objects.setCurrentRow(0)
        self.say(f"{scene.image.note} {_HINT}".strip())
        self._enable()

    def _choice(self) -> Choice | None:
        item = self.objects.currentItem()
        return None if item is None else item.choice

    def _chosen_layer(self) -> Any:
        name = self.image.currentText()
        return next((layer for layer in self._viewer.layers if layer.name == name), None)

    def _list_images(self, _event: Any = None) -> None:
        """Lists the layers that may be explained: images, but no maps of explanations."""
        before = self.image.currentText()
        self.image.clear()
        for layer in self._viewer.layers:
            kind = layer.metadata.get(MARK, {}).get("kind")
            if hasattr(layer, "rgb") and kind != "explanation":
                self.image.addItem(layer.name)
        self.image.setCurrentText(before)

    def _enable(self) -> None:
        is_busy = self._work.is_busy
        self.segment.setEnabled(not is_busy)
        self.explain.setEnabled(not is_busy and self._scene is not None)
        self.cancel.setEnabled(is_busy)
        self.bar.setVisible(is_busy)

    def _browse_model(self) -> None:
        name, _ = self._qt.QFileDialog.getOpenFileName(self.widget, "A network")
        if name:
            self.model.setText(spec_of_file(name))

    def _browse_image(self) -> None:
        name, _ = self._qt.QFileDialog.getOpenFileName(self.widget, "An image or a volume")
        if name:
            self.open_image(name)

    def open_image(self, path: str) -> None:
        """Adds an image file as a layer, and chooses it."""
        try:
            added = add_layers(self._viewer, open_file(path))
        except MisureError as error:
            self.say(str(error))
            return
        self.image.setCurrentText(added[0].name)

    def _on_mouse(self, _viewer: Any, event: Any) -> Iterator[None]:
        """Tells a click from a drag."""
        if self._layer is None or self._layer not in self._viewer.layers:
            return
        yield
        was_dragged = False
        while event.type == "mouse_move":
            was_dragged = True
            yield
        if was_dragged or not self.on_click.isChecked() or not self._layer.visible:
            return
        place = self._layer.world_to_data(event.position)
        if self._viewer.dims.ndisplay == 3:
            place = first_seen(self._layer, event)
        if place is None:
            self.say(_HINT)
            return
        self.begin_at(place)


def first_seen(layer: Any, event: Any) -> tuple[float, ...] | None:
    """The first labelled voxel on the line of sight through a click in the 3D display.

    Args:
        layer: of labels.
        event: of the mouse, with `position`, `view_direction` and `dims_displayed`.
    """
    start, end = layer.get_ray_intersections(
        event.position, event.view_direction, event.dims_displayed
    )
    if start is None or end is None:  # beside the layer
        return None
    num_steps = 2 * int(np.linalg.norm(end - start)) + 2  # half a voxel each
    line = np.linspace(start, end, num_steps)
    voxels = np.rint(line).astype(int).clip(0, np.array(layer.data.shape) - 1)
    seen = np.flatnonzero(layer.data[tuple(voxels.T)])
    return tuple(voxels[seen[0]].tolist()) if seen.size else None


def spec_of_file(name: str) -> str:
    """The spec of a network in a file, as `load_model` would suggest it; else the path itself.

    Code files are not named by their ending: what runs code is written by hand.
    """
    path = Path(name)
    schemes = {".onnx": "onnx", ".safetensors": "trained"}
    if path.suffix.lower() in schemes:
        return f"{schemes[path.suffix.lower()]}:{name}"
    return f"hf:{path.parent}" if path.name == "config.json" else name
