"""The addresses of the viewer, and what answers them."""

import asyncio
import hashlib
import json
import mimetypes
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from torch import Tensor

from misure.errors import InputError, MisureError, ModelError, reason_of
from misure.explanation.presets import DEFAULT_PRESET, make_preset
from misure.images.orientation import as_stored
from misure.viewer import requests
from misure.viewer.access import Access
from misure.viewer.events import Events
from misure.viewer.figures import curve_of, explained_figures
from misure.viewer.jobs import Ended, Replaced
from misure.viewer.opened import Opened
from misure.viewer.painted import name_of_painted, other_image, save_painted
from misure.viewer.pictures import (
    labels_of,
    map_of,
    mask_of,
    picture_of,
    superpixels,
    visibility_of,
)
from misure.viewer.saving import command_of, name_of, overview_of, save
from misure.viewer.searches import Asked, Entry, QueueFullError, Searches
from misure.viewer.session import DICE_THRESHOLD, Network, Session
from misure.viewer.what_if import WhatIfs

T = TypeVar("T")
Answering = Callable[["Viewer", Request], Awaitable[Response]]

_MOST_SIDE = 1 << 16
_PAGES = resources.files("misure.viewer") / "pages"


class Json(JSONResponse):
    """JSON in ASCII: the name of a file may hold bytes that are no text."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Viewer:
    """What is served from a session.

    Args:
        session: what is looked at.
        grace_s: how long a tab may be away before what only it asked for is cancelled.
    """

    def __init__(self, session: Session, grace_s: float = 5.0) -> None:
        self.session = session
        self.events = Events(self._forget_tab, grace_s)
        self.searches = Searches(session, self.events.publish)
        self.what_ifs = WhatIfs(session)

    def app(self, *, token: str, port: int) -> Access:
        """The application, behind its secret."""
        routes = [
            Route(path, self._answering(answer), methods=[method])
            for method, path, answer in _ROUTES
        ]
        inner = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_address})
        return Access(inner, token=token, port=port)

    def end(self, timeout_s: float = 1.0) -> bool:
        """Ends all work; whether nothing is left that runs."""
        has_ended = self.session.end(timeout_s)
        self.searches.end()
        return has_ended

    def _answering(self, answer: Answering) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return await answer(self, request)
            except Exception as error:  # whatever it is, the page gets one sentence
                return _refusal(error)

        return endpoint

    def _forget_tab(self, tab: str) -> None:
        self.searches.forget_tab(tab)

    async def opened(self, request: Request) -> Opened:
        """The image that the address names."""
        return await _done(self.session.opened(requests.part_of_path(request, "image")))

    @property
    def network(self) -> Network:
        """The network.

        Raises:
            LookupError: there is none.
        """
        if self.session.network is None:
            raise LookupError("expected a viewer with a network, this one was started without.")
        return self.session.network


async def _done(future: "Future[T]") -> T:
    return await asyncio.wrap_future(future)


def _refusal(error: Exception) -> Response:
    """What the page gets for an error."""
    if isinstance(error, HTTPException):
        raise error
    status = 500
    for kind, number in (
        (requests.TooLargeError, 413),
        (QueueFullError, 409),
        (Replaced, 409),
        (Ended, 409),
        (InputError, 400),
        (LookupError, 404),
        (ModelError, 500),
        (MisureError, 400),
    ):
        if isinstance(error, kind):
            status = number
            break
    sentences = {Replaced: "a newer one has taken its place.", Ended: "the viewer has ended."}
    said = sentences.get(type(error)) or (
        str(error.args[0]) if isinstance(error, LookupError) and error.args else reason_of(error)
    )
    replaced = {"replaced": True} if isinstance(error, Replaced) else {}
    return Json({"error": said, **replaced}, status_code=status)


async def _no_such_address(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Json({"error": "expected another address or method."}, status_code=status)


async def _page(_viewer: Viewer, _request: Request) -> Response:
    return _packaged("index.html")


async def _part(_viewer: Viewer, request: Request) -> Response:
    return _packaged(str(request.path_params["name"]))


def _packaged(name: str) -> Response:
    """A file of the page; none else can be named."""
    known = {entry.name: entry for entry in _PAGES.iterdir() if entry.is_file()}
    if name not in known:
        raise LookupError("expected a file of the page, got another name.")
    kind = {"js": "text/javascript"}.get(name.rpartition(".")[2]) or mimetypes.guess_type(name)[0]
    return Response(known[name].read_bytes(), media_type=kind or "application/octet-stream")


async def _state(viewer: Viewer, _request: Request) -> Response:
    return Json(viewer.session.state())


async def _image(viewer: Viewer, request: Request) -> Response:
    opened = await viewer.opened(request)
    return Json(await run_in_threadpool(opened.record))


def _plane(request: Request, opened: Opened) -> tuple[str, int]:
    """The plane and slice that an address names; by default the middle of the first."""
    plane = request.query_params.get("plane") or opened.planes.names[0]
    middle = opened.planes.num_slices(plane) // 2 if plane in opened.planes.names else 0
    number = requests.whole_in(request, "slice", middle)
    return plane, middle if number is None else number


async def _picture_answer(
    request: Request, make: Callable[[], tuple[bytes, str]], *, key: str = ""
) -> Response:
    """A picture with an ETag, made unless the browser has it: one address has one picture.

    Args:
        request: asks for it.
        make: makes the picture, and gives its media type.
        key: what else the picture depends on.
    """
    address = f"{request.url.path}?{request.url.query} {key}"
    mark = hashlib.sha256(address.encode()).hexdigest()[:32]
    headers = {"ETag": f'"{mark}"', "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    data, kind = await run_in_threadpool(make)
    return Response(data, media_type=kind, headers=headers)


async def _picture(viewer: Viewer, request: Request) -> Response:
    opened = await viewer.opened(request)
    return await _picture_of(request, opened, opened.pixels)


async def _picture_of(request: Request, opened: Opened, pixels: Tensor) -> Response:
    """A picture of an image (C, *spatial) as the address wants it: plane, window, channel, size."""
    plane, number = _plane(request, opened)
    low, high = opened.shown_range
    low, high = (
        requests.number_in(request, "low", low),
        requests.number_in(request, "high", high),
    )
    if not low < high:
        raise InputError(f"expected low below high, got {low:g} and {high:g}.")
    channel = None if opened.is_colour else 0
    if request.query_params.get("channel", "") not in ("", "rgb" if opened.is_colour else ""):
        channel = requests.whole_in(request, "channel", None, most=len(opened.pixels) - 1)
    max_side = requests.whole_in(request, "max_side", None, most=_MOST_SIDE)
    if max_side == 0:
        raise InputError("expected max_side of 1 or more, got 0.")

    def make() -> tuple[bytes, str]:
        taken = opened.planes.take(pixels, plane, number).cpu()
        return picture_of(taken, low, high, channel, max_side)

    return await _picture_answer(request, make)


async def _labels(viewer: Viewer, request: Request) -> Response:
    opened = await viewer.opened(request)
    plane, number = _plane(request, opened)

    def make() -> tuple[bytes, str]:
        return labels_of(opened.planes.take(opened.labels, plane, number)), "image/png"

    return await _picture_answer(request, make)


async def _superpixels(viewer: Viewer, request: Request) -> Response:
    opened = await viewer.opened(request)
    said = await requests.json_of(request)
    planes = opened.planes
    plane = _text(said.get("plane", planes.names[0]), "plane")
    number = requests.whole(said.get("slice", 0), "slice")
    taken = planes.take(opened.pixels, plane, number).cpu()
    data = await run_in_threadpool(lambda: labels_of(superpixels(taken)))
    return Response(data, media_type="image/png")


async def _explain(viewer: Viewer, request: Request) -> Response:
    said = await requests.json_of(request)
    opened = await _done(viewer.session.opened(requests.whole(said.get("image"), "image")))
    point, number = None, said.get("object")
    if number is not None:
        opened.object(requests.whole(number, "object"))
    else:
        point = opened.checked_point(said.get("point"))
        label = int(opened.labels[point])
        number = label - 1 if label else None
    asked = Asked(
        image=opened.number,
        object=number,
        point=point if number is None else None,
        preset=_text(said.get("preset", DEFAULT_PRESET), "preset"),
        dice_threshold=_threshold(said),
        options=_options(said.get("options", {})),
        seed=requests.whole(said.get("seed", 0), "seed", most=2**32 - 1),
    )
    entry = await run_in_threadpool(viewer.searches.ask, opened, asked, _tab(request))
    return Json({"id": entry.id, **entry.record()})


def _threshold(said: dict[str, Any]) -> float:
    """The Dice to reach that a body asks for."""
    value = requests.number(said.get("dice_threshold", DICE_THRESHOLD), "dice_threshold")
    if not 0 < value <= 1:
        raise InputError(f"expected a dice_threshold above 0 and at most 1, got {value}.")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"expected {name} as a word.")
    return value


def _options(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError("expected options as a JSON object.")
    for name in ("baseline_image", "hidden_baseline_image"):
        if "python:" in str(value.get(name, "")):
            raise InputError(f"expected the name of a {name}, got one that runs a file.")
    return value


def _tab(request: Request) -> str:
    return request.query_params.get("tab", "")[:64]


async def _explanations(viewer: Viewer, _request: Request) -> Response:
    return Json([entry.record() for entry in viewer.searches.entries])


async def _explanation(viewer: Viewer, request: Request) -> Response:
    entry = viewer.searches.entry(request.path_params["id"])
    if entry.status != "done":
        return Json(entry.record())
    opened = await _done(viewer.session.opened(entry.asked.image))
    return Json(await run_in_threadpool(_whole_record, viewer, entry, opened))


def _whole_record(viewer: Viewer, entry: Entry, opened: Opened) -> dict[str, Any]:
    explanation = viewer.searches.explanation(entry.id)
    return {
        **entry.record(),
        "figures": explained_figures(explanation),
        "sentence": explanation.summary(),
        "curve": curve_of(explanation),
        "command": command_of(opened, entry.asked, viewer.network),
        "regions": [*viewer.searches.regions(entry.id)],
        "is_dust": explanation.is_dust,
    }


async def _cancel(viewer: Viewer, request: Request) -> Response:
    return _cancelled(viewer, viewer.searches.entry(request.path_params["id"]))


def _cancelled(viewer: Viewer, entry: Entry) -> Response:
    viewer.searches.cancel(entry)
    return Json(entry.record())


async def _region(viewer: Viewer, request: Request) -> Response:
    entry = viewer.searches.entry(request.path_params["id"])
    opened = await _done(viewer.session.opened(entry.asked.image))
    plane, number = _plane(request, opened)
    regions = await run_in_threadpool(viewer.searches.regions, entry.id)
    name = request.path_params["name"]
    if name not in regions:
        raise LookupError(f"expected a region among {', '.join(regions)}, got {name[:40]!r}.")
    region = regions[name]

    def make() -> tuple[bytes, str]:
        return mask_of(opened.planes.take(region, plane, number)), "image/png"

    return await _picture_answer(request, make, key=f"{entry.status} {int(region.sum())}")


async def _map(viewer: Viewer, request: Request) -> Response:
    entry = viewer.searches.entry(request.path_params["id"])
    opened = await _done(viewer.session.opened(entry.asked.image))
    plane, number = _plane(request, opened)
    explanation = await run_in_threadpool(viewer.searches.explanation, entry.id)

    def make() -> tuple[bytes, str]:
        saliency_map = explanation.saliency_map
        largest = float(saliency_map.nan_to_num(0).max())
        return map_of(opened.planes.take(saliency_map, plane, number), largest), "image/png"

    return await _picture_answer(request, make)


async def _save(viewer: Viewer, request: Request) -> Response:
    entry = viewer.searches.entry(request.path_params["id"])
    opened = await _done(viewer.session.opened(entry.asked.image))

    def work() -> dict[str, Any]:
        explanation = viewer.searches.explanation(entry.id)
        network, session = viewer.network, viewer.session
        name = name_of(opened, entry.asked, session.case_name(opened), network.slice_index)
        return session.saved(
            name, lambda folder: save(explanation, opened, entry.asked, network, folder)
        )

    async with viewer.session.drawing:
        return Json(await run_in_threadpool(work))


async def _overview(viewer: Viewer, request: Request) -> Response:
    entry = viewer.searches.entry(request.path_params["id"])
    opened = await _done(viewer.session.opened(entry.asked.image))

    def make() -> tuple[bytes, str]:
        explanation = viewer.searches.explanation(entry.id)
        return overview_of(explanation, opened), "image/png"

    async with viewer.session.drawing:
        return await _picture_answer(request, make)


async def _what_if(viewer: Viewer, request: Request) -> Response:
    said = request.query_params
    number = requests.whole_in(request, "image", None)
    if number is None:
        raise InputError("expected image=I in the address, got none.")
    data = await requests.body_of(request, requests.MOST_MASK)
    opened = await _done(viewer.session.opened(number))
    chosen = requests.whole_in(request, "object", None)
    if chosen is None:
        raise InputError("expected object=N in the address, got none.")
    opened.object(chosen)
    edge_px = requests.whole_in(request, "edge_px", 0) or 0
    region = await run_in_threadpool(_painted, viewer, request, opened, data)
    tab = _tab(request)
    made = await _done(
        viewer.session.worker.ask(
            lambda: viewer.what_ifs.show(
                opened, chosen, region, said.get("baseline") or "mean", edge_px
            ),
            key=("what-if", tab) if tab else None,
        )
    )
    return Json(made.record())


def _painted(viewer: Viewer, request: Request, opened: Opened, data: bytes) -> Tensor:
    """The region (*spatial) bool that a person painted.

    In a volume with `depth=volume` the mask is (Z Y, X), all axial slices one below the other. Else
    it is of one slice; `depth=all` repeats it in all of them, and
    `depth=slices` leaves the others as `base`, an earlier what-if, has them, or else visible
    (`elsewhere=hidden`: hidden).
    """
    planes = opened.planes
    depth = request.query_params.get("depth") or "slices"
    if depth == "volume" and planes.is_volume:
        slices, rows, columns = planes.shape
        whole = visibility_of(data, (slices * rows, columns)).view(slices, rows, columns)
        return as_stored(whole, opened.sample.order).contiguous()
    plane, number = _plane(request, opened)
    painted = visibility_of(data, planes.shape_of(plane))
    elsewhere = request.query_params.get("elsewhere") or "shown"
    if depth not in ("slices", "all") or elsewhere not in ("shown", "hidden"):
        raise InputError(
            "expected depth as slices, all or (volumes) volume, and elsewhere as shown or hidden."
        )
    base = request.query_params.get("base")
    if base:
        before = viewer.what_ifs.get(base)
        if before.image != opened.number:
            raise InputError("expected base of the same image, got that of another.")
        region = before.region.clone()
    else:
        region = torch.full(planes.spatial, elsewhere == "shown")
    if depth == "all":
        planes.put_all(region, plane, painted)
    else:
        planes.put(region, plane, number, painted)
    return region


async def _check(viewer: Viewer, request: Request) -> Response:
    made = viewer.what_ifs.get(request.path_params["id"])
    said = await requests.json_of(request)
    preset = _text(said.get("preset", DEFAULT_PRESET), "preset")
    asked = Asked(
        image=made.image,
        object=made.object,
        point=None,
        preset=preset,
        dice_threshold=_threshold(said),
        options={},
        seed=0,
    )
    entry = viewer.searches.check(viewer.what_ifs, made, asked, _tab(request))
    return Json(entry.record())


async def _check_so_far(viewer: Viewer, request: Request) -> Response:
    return Json(viewer.searches.check_entry(request.path_params["id"]).record())


async def _cancel_check(viewer: Viewer, request: Request) -> Response:
    return _cancelled(viewer, viewer.searches.check_entry(request.path_params["id"]))


async def _save_painted(viewer: Viewer, request: Request) -> Response:
    made = viewer.what_ifs.get(request.path_params["id"])
    said = await requests.json_of(request)
    dice_threshold = _threshold(said)
    preset = make_preset(_text(said.get("preset", DEFAULT_PRESET), "preset"), {}).name
    opened = await _done(viewer.session.opened(made.image))

    def work() -> dict[str, Any]:
        session, network, other = viewer.session, viewer.network, other_image(made)
        name = name_of_painted(opened, made, session.case_name(opened), network.slice_index)
        return session.saved(
            name,
            lambda folder: save_painted(
                made,
                opened,
                network,
                folder,
                preset=preset,
                dice_threshold=dice_threshold,
                other=None if other is None else session.path(other),
            ),
        )

    return Json(await run_in_threadpool(work))


async def _drawn(viewer: Viewer, request: Request) -> Response:
    made = viewer.what_ifs.get(request.path_params["id"])
    opened = await _done(viewer.session.opened(made.image))
    plane, number = _plane(request, opened)

    def make() -> tuple[bytes, str]:
        return mask_of(opened.planes.take(made.drawn, plane, number)), "image/png"

    return await _picture_answer(request, make)


async def _shown(viewer: Viewer, request: Request) -> Response:
    made = viewer.what_ifs.get(request.path_params["id"])
    opened = await _done(viewer.session.opened(made.image))
    return await _picture_of(request, opened, made.shown)


async def _events(viewer: Viewer, request: Request) -> Response:
    return viewer.events.stream(_tab(request))  # type: ignore[return-value]  # an ASGI answer


async def _report(viewer: Viewer, request: Request) -> Response:
    folder = viewer.session.report
    if folder is None:
        raise LookupError("expected a viewer of a run, this is none.")
    wanted = str(request.path_params.get("name") or "index.html")
    full = _FULL_SIZE.fullmatch(wanted)
    if full and viewer.session.full_size is not None:
        return await _full_size(viewer.session.full_size, int(full[1]))
    known = {path.relative_to(folder).as_posix(): path for path in _files_below(folder)}
    if wanted not in known:
        raise LookupError("expected a file of the report, got another name.")
    return FileResponse(known[wanted], headers={"Content-Security-Policy": _CSP_OF_REPORT})


async def _full_size(script_of: Callable[[int], str], place: int) -> Response:
    try:
        script = await run_in_threadpool(script_of, place)
    except IndexError as error:
        raise LookupError(f"expected an object of the report, got {place}.") from error
    return Response(script, media_type="text/javascript")


_FULL_SIZE = re.compile(r"index_files/full-([0-9]{1,9})\.js")

_CSP_OF_REPORT = (  # the page itself allows less: scripts with its own nonce alone
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def _files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


_ROUTES: list[tuple[str, str, Answering]] = [
    ("GET", "/", _page),
    ("GET", "/pages/{name}", _part),
    ("GET", "/state", _state),
    ("GET", "/images/{image}", _image),
    ("GET", "/images/{image}/picture", _picture),
    ("GET", "/images/{image}/labels", _labels),
    ("POST", "/images/{image}/superpixels", _superpixels),
    ("POST", "/explanations", _explain),
    ("GET", "/explanations", _explanations),
    ("GET", "/explanations/{id}", _explanation),
    ("DELETE", "/explanations/{id}", _cancel),
    ("GET", "/explanations/{id}/regions/{name}", _region),
    ("GET", "/explanations/{id}/map", _map),
    ("POST", "/explanations/{id}/save", _save),
    ("GET", "/explanations/{id}/picture.png", _overview),
    ("POST", "/what-if", _what_if),
    ("POST", "/what-if/{id}/check", _check),
    ("POST", "/what-if/{id}/save", _save_painted),
    ("GET", "/checks/{id}", _check_so_far),
    ("DELETE", "/checks/{id}", _cancel_check),
    ("GET", "/what-if/{id}/drawn", _drawn),
    ("GET", "/what-if/{id}/shown", _shown),
    ("GET", "/events", _events),
    ("GET", "/report/", _report),
    ("GET", "/report/{name:path}", _report),
]
