"""The widget that lists the objects of a run, and shows those that are chosen as layers."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.optional import require
from misure.errors import MisureError
from misure.explanation.explanation import Explanation
from misure.napari.layers import MARK, LayerData, add_layers, explanation_layers, image_layers
from misure.napari.placement import Placement
from misure.runs.folder import RunFolder
from misure.runs.images import RunImages
from misure.runs.record import DoneObject, ExplainedObject

_COLUMNS = ("object", "class", "needed, % of image", "Dice")
_NEEDS_REGIONS = "The method of this run finds no regions. Its maps are in `misure report`."


def run_widget() -> Any:
    """The widget of the viewer that is open, a QWidget, for napari's menu of plugins."""
    napari = require("napari", extra="napari", purpose="show a widget")
    panel = RunPanel(napari.current_viewer())
    panel.widget.panel = panel  # lives as long as what it serves
    return panel.widget


def browse_run(viewer: Any, run: Path) -> None:
    """Docks the widget with a run in it."""
    _, widget = viewer.window.add_plugin_dock_widget("misure", "Objects of a run")
    widget.panel.open(run)


def object_layers(run: RunFolder, record: ExplainedObject, images: RunImages) -> list[LayerData]:
    """The layers of a run's object: its image, the map, both regions and the target.

    A slice lies where its volume has it. The thumbnail that stands for an image that is gone is
    enlarged to its size, and left out for volumes.

    Args:
        run: the run folder.
        record: of the object.
        images: of the run.

    Raises:
        RunFolderError: a file of the run is missing or damaged.
    """
    explanation = Explanation.load(io.BytesIO(run.storage.read(record.map)))
    shape = tuple(explanation.target.region.shape)
    affine = None if record.affine is None else np.array(record.affine, np.float64)
    placement = Placement.of(shape, affine, record.spacing_mm)
    layers = explanation_layers(explanation, placement, record.key)
    image = images.of(record, shape)
    if not image.is_thumbnail:
        return [*image_layers(image.pixels, placement, record.sample), *layers]
    if len(shape) == 3:
        return layers
    small = placement.resized(image.pixels.shape[1:])
    return [*image_layers(image.pixels, small, f"{record.sample} (thumbnail)"), *layers]


class RunPanel:
    """A table of a run's objects; a double click shows one.

    Args:
        viewer: of napari.

    Attributes:
        widget: to dock.
    """

    def __init__(self, viewer: Any) -> None:
        qt = require("qtpy.QtWidgets", extra="napari", purpose="show a widget")
        core = require("qtpy.QtCore", extra="napari", purpose="show a widget")
        self._qt, self._order, self._viewer = qt, core.Qt, viewer
        self._run: RunFolder | None = None
        self._images: RunImages | None = None
        self._records: list[ExplainedObject] = []
        self.widget = qt.QWidget()
        column = qt.QVBoxLayout(self.widget)
        opens = qt.QPushButton("Open a run…")
        opens.clicked.connect(self._browse)
        self.table = qt.QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setSelectionBehavior(qt.QTableWidget.SelectRows)
        self.table.setEditTriggers(qt.QTableWidget.NoEditTriggers)
        self.table.verticalHeader().setVisible(False)
        self.table.cellDoubleClicked.connect(lambda row, _column: self.show(row))
        self.replaces = qt.QCheckBox("Instead of the object shown before")
        self.replaces.setChecked(True)
        self.said = qt.QLabel("Open a run; a double click shows an object.")
        self.said.setWordWrap(True)
        for part in (opens, self.table, self.replaces, self.said):
            column.addWidget(part)
        self._shown: list[Any] = []

    def open(self, run: str | Path) -> None:
        """Lists the objects of a run."""
        try:
            folder = RunFolder(run)
            done = [record for record in folder.each_record() if isinstance(record, DoneObject)]
        except MisureError as error:
            self.said.setText(str(error))
            return
        self._run, self._images = folder, RunImages(folder)
        self._records = [record for record in done if isinstance(record, ExplainedObject)]
        self.table.setSortingEnabled(False)
        self.table.setRowCount(len(self._records))
        for row, record in enumerate(self._records):
            small = record.minimally_sufficient_region
            cells = (record.key, record.class_name, 100 * small.area_fraction, small.dice)
            for place, cell in enumerate(cells):
                item = self._qt.QTableWidgetItem()
                value = round(cell, 3) if isinstance(cell, float) else cell
                item.setData(self._order.DisplayRole, value)
                item.setData(self._order.UserRole, row)
                self.table.setItem(row, place, item)
        self.table.setSortingEnabled(True)
        self.table.resizeColumnsToContents()
        num = len(self._records)
        said = f"{num} object{'s' * (num != 1)}. A double click shows one."
        self.said.setText(_NEEDS_REGIONS if done and not self._records else said)

    def show(self, row: int) -> None:
        """Shows the object in a row of the table."""
        if self._run is None or self._images is None:
            return
        record = self._records[self.table.item(row, 0).data(self._order.UserRole)]
        try:
            layers = object_layers(self._run, record, self._images)
        except (MisureError, OSError) as error:
            self.said.setText(str(error))
            return
        if self.replaces.isChecked():
            for layer in self._shown:
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            self._shown = []
        self._shown += add_layers(self._viewer, layers)
        self._viewer.reset_view()
        self.said.setText(self._shown[-1].metadata[MARK]["summary"])

    def _browse(self) -> None:
        name = self._qt.QFileDialog.getExistingDirectory(self.widget, "The folder of a run")
        if name:
            self.open(name)
