"""Explanations and checks that were asked for: those that wait, run, and are done."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from misure.errors import MisureError, reason_of
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.presets import Preset, make_preset
from misure.explanation.record import CostRecord
from misure.models.cost import Cost
from misure.models.target import Target
from misure.viewer.cache import Cache
from misure.viewer.figures import checked_figures
from misure.viewer.jobs import Ended
from misure.viewer.opened import Opened
from misure.viewer.session import Session
from misure.viewer.what_if import WhatIf, WhatIfs

MOST_OPEN = 100
"""Explanations that may wait at a time."""

_KEPT_MB = 600
_NEWS_EVERY_S = 0.2

Publish = Callable[[dict[str, Any]], None]


class QueueFullError(MisureError):
    """Too much is waiting."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be explained, and how.

    Attributes:
        image: number of the image.
        object: number of the object; None: that at a point that is in none.
        point: a pixel as it is stored; None: the object says it all.
        preset, dice_threshold, options, seed: as of `explain`.
    """

    image: int
    object: int | None
    point: tuple[int, ...] | None
    preset: str
    dice_threshold: float
    options: dict[str, Any]
    seed: int

    def make_preset(self) -> Preset:
        """The preset with its options."""
        return make_preset(self.preset, self.options)


@dataclass(eq=False, kw_only=True)
class Entry:
    """One explanation that was asked for, or one check of a region that a person painted.

    Attributes:
        id: its name in addresses.
        asked: what.
        what_if: id of the what-if whose region is checked; None: it is an explanation.
        class_name: of the target.
        target: what is explained; None once that is over.
        tabs: that asked for it.
        status: queued, running, done, cancelled or failed.
        doing: what the search does now.
        passes, max_passes: pass equivalents that were made so far, and that it takes at most, if
            that is known.
        has_backward: whether there were backward passes among them.
        other_passes: made for something else while it ran.
        found: regions that were found so far, by name.
        is_ending: whether it is to end after this pass.
        error: why it failed.
        result: what the page is told of a check that is done.
    """

    id: str
    asked: Asked
    what_if: str | None = None
    class_name: str
    target: Target | None
    tabs: set[str]
    status: str = "queued"
    doing: str = ""
    passes: int = 0
    max_passes: int | None = None
    has_backward: bool = False
    other_passes: int = 0
    started_s: float = 0.0
    seconds: float = 0.0
    found: dict[str, Tensor] = field(default_factory=dict)
    is_ending: bool = False
    error: str | None = None
    result: dict[str, Any] = field(default_factory=dict)
    told_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("queued", "running")

    def record(self) -> dict[str, Any]:
        """What the page is told of it."""
        return {
            "id": self.id,
            "image": self.asked.image,
            "object": self.asked.object,
            "class_name": self.class_name,
            "preset": self.asked.preset,
            "dice_threshold": self.asked.dice_threshold,
            "status": self.status,
            "doing": self.doing,
            "passes": self.passes,
            "max_passes": self.max_passes,
            "unit": "pass equivalents" if self.has_backward else "passes",
            "seconds": round(self.seconds, 2),
            "seconds_left": self._seconds_left(),
            "regions": [*self.found],
            "error": self.error,
            **({"what_if": self.what_if, **self.result} if self.what_if else {}),
        }

    def _seconds_left(self) -> float | None:
        if self.status != "running" or not self.passes or self.max_passes is None:
            return None
        left = max(0, self.max_passes - self.passes)
        return round(self.seconds / self.passes * left, 1)


class Searches:
    """All explanations of a session, and all checks.

    Args:
        session: whose images are explained.
        publish: tells the tabs.
    """

    def __init__(self, session: Session, publish: Publish) -> None:
        self._session, self._publish = session, publish
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()  # of the entries, which several requests change
        self._folder = Path(tempfile.mkdtemp(prefix="misure-view-"))
        self._done: Cache[str, Explanation] = Cache(_KEPT_MB, self._put_aside)

    @property
    def entries(self) -> list[Entry]:
        """All explanations, in the order in which they were asked for."""
        return [entry for entry in self._all() if entry.what_if is None]

    def _all(self) -> list[Entry]:
        return [*self._entries.values()]

    def entry(self, name: str) -> Entry:
        """One explanation.

        Raises:
            LookupError: there is no such.
        """
        found = self._entries.get(name)
        if found is None or found.what_if is not None:
            raise LookupError("expected the id of an explanation, got another.")
        return found

    def check_entry(self, name: str) -> Entry:
        """One check.

        Raises:
            LookupError: there is no such.
        """
        found = self._entries.get(name)
        if found is None or found.what_if is None:
            raise LookupError("expected the id of a check, got another.")
        return found

    def explanation(self, name: str) -> Explanation:
        """One that is done.

        Raises:
            LookupError: it is not done.
        """
        if self.entry(name).status != "done":
            raise LookupError("expected an explanation that is done.")
        kept = self._done.get(name)
        if kept is None:
            kept = Explanation.load(self._folder / f"{name}.npz")
            self._keep(name, kept)
        return kept

    def ask(self, opened: Opened, asked: Asked, tab: str) -> Entry:
        """Puts an explanation into the queue, unless the same is there.

        Raises:
            InputError: settings that no preset has, or no target.
            LookupError: no such object.
        """
        preset = asked.make_preset()
        if asked.object is None:
            assert asked.point is not None  # noqa: S101  # one of the two is said
            target = opened.target_at(asked.point)
        else:
            target = opened.target(asked.object)
        with self._lock:
            self._check_room()
            for known in self._entries.values():
                lives = known.status == "done" or (known.is_open and not known.is_ending)
                if known.asked == asked and known.what_if is None and lives:
                    known.tabs.add(tab)
                    return known
            entry = Entry(
                id=f"e{len(self._entries) + 1}",
                asked=asked,
                class_name=target.class_name,
                target=target,
                tabs={tab},
                max_passes=most_passes(preset),
            )
            self._entries[entry.id] = entry
        self._begin(entry, lambda: self._searched(entry))
        return entry

    def check(self, what_ifs: WhatIfs, made: WhatIf, asked: Asked, tab: str) -> Entry:
        """Puts a check of what is visible in a what-if into the queue.

        Raises:
            InputError: there is no such preset.
        """
        shown = replace(asked.make_preset(), baseline_image=made.baseline)
        with self._lock:
            self._check_room()
            entry = Entry(
                id=f"c{len(self._entries) + 1}",
                asked=asked,
                what_if=made.id,
                class_name="",
                target=None,
                tabs={tab},
                max_passes=shown.num_presentations + shown.passes_of_evidence,
            )
            self._entries[entry.id] = entry
        self._begin(entry, lambda: self._checked(entry, what_ifs, made))
        return entry

    def _check_room(self) -> None:
        if sum(entry.is_open for entry in self._entries.values()) >= MOST_OPEN:
            raise QueueFullError(f"expected at most {MOST_OPEN} explanations in the queue.")

    def _begin(self, entry: Entry, work: Callable[[], CostRecord]) -> None:
        self._tell(entry)
        self._session.worker.ask(lambda: self._run(entry, work), is_long=True)

    def cancel(self, entry: Entry) -> None:
        """Ends one that waits at once, and one that runs after the pass that is being made."""
        with self._lock:
            if entry.status == "queued":
                entry.status, entry.target = "cancelled", None
            elif entry.status == "running":
                entry.is_ending, entry.doing = True, "ending after this pass"
        self._tell(entry)

    def forget_tab(self, tab: str) -> None:
        """Cancels what only this tab asked for."""
        for entry in self._all():
            entry.tabs.discard(tab)
            if entry.is_open and not entry.tabs:
                self.cancel(entry)

    def regions(self, name: str) -> dict[str, Tensor]:
        """The regions (*spatial) bool of one by name, as far as they are found."""
        entry = self.entry(name)
        target = entry.target
        if target is not None:
            return {"target": target.region.cpu(), **entry.found}
        explanation = self.explanation(name)
        tensors = explanation.tensors()
        names = ("target", "sufficient_region", "minimally_sufficient_region")
        nested = {
            f"nested:{point.dice_threshold:g}": explanation.nested_region(point.dice_threshold)
            for point in explanation.sufficiency_curve
        }
        return {key: tensors[key].cpu() for key in names} | nested

    def end(self) -> None:
        """Removes what was put aside."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, entry: Entry, work: Callable[[], CostRecord]) -> None:
        """Does the work of an entry; called on the thread of the network."""
        with self._lock:
            if entry.status != "queued":
                return
            entry.status, entry.started_s = "running", time.perf_counter()
        self._tell(entry)
        try:
            cost = work()
        except Ended:
            entry.status, entry.doing = "cancelled", ""
        except BaseException as error:  # of any network, SystemExit too
            entry.status, entry.error = "failed", reason_of(error)
        else:
            entry.status, entry.doing = "done", ""
            entry.passes, entry.has_backward = cost.pass_equivalents, cost.backward_passes > 0
        entry.seconds = time.perf_counter() - entry.started_s
        entry.target = None
        entry.found.clear()
        self._tell(entry)

    def _checked(self, entry: Entry, what_ifs: WhatIfs, made: WhatIf) -> CostRecord:
        """The check; what it cost."""
        asked, opened = entry.asked, self._session.open(entry.asked.image)

        def on_step(doing: str, _done: int, _total: int | None) -> None:
            self._between(entry, doing, cost)

        with opened.drawn.model.counting() as cost:
            self._between(entry, "starting", cost)
            checked = what_ifs.check(opened, made, asked.dice_threshold, asked.preset, on_step)
        entry.result = {
            "figures": checked_figures(checked),
            "sentence": checked.summary(),
            "dice": checked.dice,
            "suffices": checked.suffices,
        }
        return checked.values.cost

    def _searched(self, entry: Entry) -> CostRecord:
        """The search; what it cost."""
        asked, session = entry.asked, self._session
        opened = session.open(asked.image)
        model = opened.drawn.model

        def on_step(doing: str, _done: int, _total: int | None) -> None:
            self._between(entry, doing, cost)

        def on_region(name: str, region: Tensor, dice: float) -> None:
            entry.found[name] = region
            self._publish(
                {
                    "type": "found",
                    "id": entry.id,
                    "region": name,
                    "dice": dice,
                    "area_fraction": int(region.sum()) / region.numel(),
                }
            )

        assert entry.target is not None  # noqa: S101  # until it is over
        with model.counting() as cost:
            self._between(entry, "starting", cost)
            explanation = explain(
                model,
                opened.pixels,
                entry.target,
                dice_threshold=asked.dice_threshold,
                preset=asked.preset,
                seed=asked.seed,
                spacing_mm=opened.spacing_mm,
                on_step=on_step,
                on_region=on_region,
                **asked.options,
            )
        slice_index = session.network.slice_index if session.network else None
        kept = explanation.with_values(image=str(opened.path), slice_index=slice_index)
        self._keep(entry.id, kept)
        return kept.values.cost

    def _between(self, entry: Entry, doing: str, cost: Cost) -> None:
        """What is done between two batches: urgent work, news, and the end if it is asked for."""
        if entry.is_ending:
            raise Ended
        before = cost.pass_equivalents
        self._session.worker.serve()
        entry.other_passes += cost.pass_equivalents - before
        if entry.is_ending:
            raise Ended
        now = time.perf_counter()
        changed = doing != entry.doing
        entry.doing, entry.seconds = doing, now - entry.started_s
        entry.passes = cost.pass_equivalents - entry.other_passes
        entry.has_backward = cost.backward_passes > 0
        if changed or now - entry.told_s >= _NEWS_EVERY_S:
            entry.told_s = now
            self._tell(entry)

    def _tell(self, entry: Entry) -> None:
        kind = "check" if entry.what_if else "explanation"
        self._publish({"type": kind, **entry.record()})

    def _keep(self, name: str, explanation: Explanation) -> None:
        num_bytes = sum(
            tensor.numel() * tensor.element_size() for tensor in explanation.tensors().values()
        )
        self._done.put(name, explanation, num_bytes)

    def _put_aside(self, name: str, explanation: Explanation) -> None:
        file = self._folder / f"{name}.npz"
        if not file.exists():
            explanation.save(file)


def most_passes(preset: Preset) -> int | None:
    """Pass equivalents that an explanation takes at most; None if that is not known."""
    if preset.max_passes is not None:
        return preset.max_passes
    usual = getattr(preset.reduction, "usual_passes", None)
    if usual is None or preset.one_minimal or preset.compare_presentations:
        return None
    return int(usual) + preset.passes_of_minimality
