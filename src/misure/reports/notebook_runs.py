"""What a notebook shows of runs and comparisons: tables, and the first objects."""

import io

import numpy as np
from PIL import Image

from misure._util.tables import arrow
from misure._util.words import share
from misure.errors import MisureError
from misure.images.orientation import AS_STORED
from misure.images.planes import viewing_plane
from misure.metrics import METRICS
from misure.metrics.comparison.comparison import Comparison
from misure.metrics.comparison.tables import mean_and_interval
from misure.reports.canvas import canvas_pixels
from misure.reports.comparison_picture import plot_comparison
from misure.reports.html import Part, figures_table, heading, notes, page, row, sentence, table
from misure.reports.statistics import at_a_glance
from misure.reports.stills import Still
from misure.runs.folder import RunFolder
from misure.runs.record import ExplainedObject, ObjectRecord
from misure.runs.run import Progress, RunRecords

_PICTURED, _LISTED = 8, 20
_OF_CLASSES = (
    "Medians over the objects of a class. Needed: area of the minimally sufficient region divided "
    "by the object's. Outline suffices: share of objects that the region's outline alone gives "
    "away, which is weak evidence."
)
_DIMMED = 0.3  # of the brightness, outside of a region


def comparison_html(comparison: Comparison) -> str:
    """The page of a comparison: a table of methods, its first objects, and what failed."""
    summary, settings = comparison.summary(), comparison.settings
    num = len({one.image for one in comparison.rows if one.target})
    metrics = [name for name in comparison.metrics if any(name in of for of in summary.values())]
    header = [
        "method",
        *(f"{name.replace('_', ' ')}{arrow(METRICS[name].higher_is_better)}" for name in metrics),
    ]
    rows = [
        [
            method,
            *(
                mean_and_interval(summary[method][name]) if name in summary[method] else "–"
                for name in metrics
            ),
        ]
        for method in comparison.methods
        if method in summary
    ]
    objects = f"{num} object{'' if num == 1 else 's'}"
    said = (
        f"{len(comparison.methods)} methods on {objects} of {settings['model']}. Each cell is the "
        "mean over objects, with its 95 % interval where there are enough cases."
    )
    parts: list[Part] = [heading("Comparison of methods"), sentence(said), table(header, rows)]
    if comparison.pictured:
        picture = Image.fromarray(canvas_pixels(plot_comparison(comparison)))
        parts += row([Still(picture, "The first objects", "the map of each method")])
    meanings = [[name.replace("_", " "), METRICS[name].summary, ""] for name in metrics]
    parts.append(f"<details><summary>What is measured</summary>{figures_table(meanings)}</details>")
    failed = [[one.image, one.method, one.error] for one in comparison.rows if one.error]
    if failed:
        parts += [
            sentence(f"{len(failed)} failed."),
            table(["object", "method", "reason"], failed[:_LISTED]),
        ]
    parts.append(notes(["↑ higher is better, ↓ lower is better."]))
    return page(parts)


def progress_html(progress: Progress) -> str:
    """What one call of `run` did, and how its objects are read."""
    figures = [
        [
            "samples",
            f"{progress.num_samples:,} of {progress.total_samples:,}",
            "Done in this call.",
        ],
        ["objects explained", f"{progress.num_objects:,}", ""],
        [
            "failed",
            f"{progress.num_failed:,}",
            "Their records hold the reasons." if progress.num_failed else "",
        ],
        ["time", f"{progress.seconds:.0f} s", ""],
    ]
    how = [f"misure.read_run({progress.out!r}) gives the records."] if progress.out else []
    return page([heading("A run"), figures_table(figures), notes(how)])


def records_html(records: RunRecords) -> str:
    """The page of a run: figures of each class, its first objects, and what failed."""
    glance = at_a_glance(records)
    failed: list[ObjectRecord] = glance["failed"]
    num = glance["num_done"]
    said = f"{num:,} object{'' if num == 1 else 's'} explained, {len(failed):,} failed."
    parts: list[Part] = [heading(f"Run {records.folder}"), sentence(said)]
    if glance["classes"]:
        header = ["class", "objects", "needed, × object", "of it outside", "outline suffices"]
        rows = [
            [
                one["class_name"],
                f"{one['num']:,}",
                f"{one['relative_area']:.2f}",
                f"{100 * one['outside']:.0f} %",
                f"{100 * one['outline']:.0f} %",
            ]
            for one in glance["classes"][:_LISTED]
        ]
        parts.append(table(header, rows))
        parts.append(notes([_OF_CLASSES]))
    explained = [one for one in records if isinstance(one, ExplainedObject)][:_PICTURED]
    parts += row([_still(RunFolder(records.folder), one) for one in explained])
    if explained:
        parts.append(notes(["Bright: the minimally sufficient region, shown alone."]))
    if failed:
        listed = [[one.key, one.reason] for one in failed[:_LISTED]]
        parts.append(table(["failed", "reason"], listed))
    return page(parts)


def _still(folder: RunFolder, record: ExplainedObject) -> Part:
    """The image of a record with its region bright; a sentence if a file is missing."""
    small = record.minimally_sufficient_region
    said = f"{share(small.area_fraction)} suffices, Dice {small.dice:.2f}"
    try:
        image = Image.open(io.BytesIO(folder.storage.read(record.thumbnail))).convert("RGB")
        tensors = folder.read_map(record.map)
    except (MisureError, OSError) as error:
        return notes([f"{record.key}: {said}. No picture: {error}"])
    take, _ = viewing_plane(tensors["target"], record.viewing_order or AS_STORED)
    region = Image.fromarray(take(tensors["minimally_sufficient_region"]).numpy())
    is_bright = np.asarray(region.resize(image.size, Image.Resampling.NEAREST))
    pixels = np.asarray(image) * np.where(is_bright, 1.0, _DIMMED)[..., None]
    return Still(
        Image.fromarray(pixels.astype(np.uint8)), record.key, f"{record.class_name}: {said}"
    )
