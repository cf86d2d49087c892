"""Memory and CPU time of each address of `misure view`, for a large photograph and a large volume.

    python benchmarks/viewer.py [--side 256] [--width 4000] [--height 3000]

The network is cheap (it calls bright pixels foreground), so that what is measured is the viewer's
own work. Each case is served by a process of its own, whose peak memory is that of all addresses up
to there.
"""

import argparse
import http.client
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

_NET = """
import torch
import misure

class Bright(torch.nn.Module):
    def forward(self, images):
        evidence = images[:, :1] - 0.5
        return torch.cat([-evidence, evidence], 1)

def make():
    return misure.SegmentationModel(Bright(), class_names=("dark", "bright"))
"""


def blobs(shape: tuple[int, ...]) -> np.ndarray:
    """A smooth image in [0, 1] with bright blobs, (*shape) float32."""
    axes = np.meshgrid(
        *[np.linspace(0, 1, side, dtype=np.float32) for side in shape], indexing="ij"
    )
    image = np.zeros(shape, np.float32)
    generator = np.random.default_rng(0)
    for _ in range(8):
        centre, width = generator.random(len(shape)), 0.05 + 0.05 * generator.random()
        squares = sum((axis - at) ** 2 for axis, at in zip(axes, centre, strict=True))
        image = np.maximum(image, np.exp(-squares / (2 * width**2)))
    noise = generator.random(shape, dtype=np.float32)
    return (0.9 * image + 0.1 * noise).clip(0, 1)


def serve(path: Path, folder: Path, pipe: object) -> None:
    """Serves one image in this process, and says its address."""
    import torch

    from misure.datasets.image_files import ImageFiles
    from misure.datasets.sample import Reading
    from misure.models.loaders import load_model
    from misure.viewer.serve import Serving
    from misure.viewer.session import Network, Session

    torch.set_num_threads(1)
    spec = f"python:{folder}/net.py:make"
    model = load_model(spec)
    reading = Reading.for_model(model)
    network = Network(spec=spec, model=model, reading=reading)
    serving = Serving(Session(ImageFiles([path], reading=reading), network, folder))
    pipe.send((serving.address, os.getpid()))  # type: ignore[attr-defined]
    serving.run()


def memory_mb(pid: int, field: str) -> float:
    """`VmRSS` or `VmHWM`, the peak, of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")


def cpu_seconds(pid: int) -> float:
    """Seconds that a process has computed so far, which other processes do not change."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def png(mask: np.ndarray) -> bytes:
    """A mask as the page sends it."""
    buffer = io.BytesIO()
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def questions(shape: tuple[int, ...], *, searches: bool) -> Iterator[tuple[str, str, bytes | None]]:
    """Method, address and body, in the order in which a page asks."""
    planes = ["axial", "coronal", "sagittal"] if len(shape) == 3 else ["image"]
    yield "GET", "images/0", None
    for plane in planes:
        yield "GET", f"images/0/picture?plane={plane}&max_side=1200", None
        yield "GET", f"images/0/picture?plane={plane}", None
        yield "GET", f"images/0/labels?plane={plane}", None
    yield "POST", "images/0/superpixels", json.dumps({"plane": planes[0], "slice": 0}).encode()
    visible = np.ones(shape if len(shape) == 2 else (shape[0] * shape[1], shape[2]), bool)
    visible[: len(visible) // 2] = False
    depth = "&depth=volume" if len(shape) == 3 else ""
    yield "POST", f"what-if?image=0&object=0{depth}", png(visible)
    yield "GET", f"what-if/w1/drawn?plane={planes[0]}", None
    yield "GET", f"what-if/w1/shown?plane={planes[0]}", None
    if not searches:
        return
    yield "POST", "what-if/w1/check", b"{}"
    yield "GET", "checks/c1", None
    yield "POST", "explanations", b'{"image": 0, "object": 0, "preset": "quick"}'
    yield "GET", "explanations/e2", None
    yield "GET", f"explanations/e2/regions/minimally_sufficient_region?plane={planes[0]}", None
    yield "GET", f"explanations/e2/map?plane={planes[0]}", None
    yield "GET", "explanations/e2/picture.png", None
    yield "POST", "explanations/e2/save", b""


_NOT_ENDED = ("queued", "running")  # such an answer is asked for again


def ask(address: str, method: str, path: str, body: bytes | None) -> int:
    """Bytes of one answer."""
    host, token = address.removeprefix("http://").split("/")[:2]
    connection = http.client.HTTPConnection(host, timeout=600)
    connection.request(method, f"/{token}/{path}", body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {data[:300]!r}")
    if data.startswith(b"{") and json.loads(data).get("status") in _NOT_ENDED and method == "GET":
        time.sleep(0.2)
        return ask(address, method, path, body)
    return len(data)


def measure(name: str, shape: tuple[int, ...], *, searches: bool) -> None:
    """Prints a table of one case."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "net.py").write_text(_NET)
        if len(shape) == 3:
            import nibabel

            path = folder / "volume.nii"
            nibabel.save(nibabel.Nifti1Image(blobs(shape), np.eye(4)), path)
        else:
            path = folder / "photograph.png"
            grey = (255 * blobs(shape)).astype(np.uint8)
            Image.fromarray(np.stack([grey] * 3, 2)).save(path, compress_level=1)
        here, there = multiprocessing.get_context("spawn").Pipe()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=serve, args=(path, folder, there))
        process.start()
        address, pid = here.recv()
        print(f"\n{name}: {memory_mb(pid, 'VmRSS'):.0f} MB before the first question\n")
        print("| address | CPU s | kB | memory, MB | peak, MB |\n|---|---|---|---|---|")
        try:
            for method, question, body in questions(shape, searches=searches):
                before = cpu_seconds(pid)
                size = ask(address, method, question, body)
                seconds = cpu_seconds(pid) - before
                row = [f"{method} `{question}`", f"{seconds:.2f}", f"{size / 1e3:,.0f}"]
                row += [f"{memory_mb(pid, field):.0f}" for field in ("VmRSS", "VmHWM")]
                print(f"| {' | '.join(row)} |", flush=True)
        finally:
            process.terminate()
            process.join()


def main() -> None:
    """Measures the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--case", choices=["photograph", "volume", "both"], default="both")
    parser.add_argument("--without-searches", action="store_true")
    options = parser.parse_args()
    pixels = options.width * options.height / 1e6
    searches = not options.without_searches
    if options.case != "volume":
        name = f"A photograph of {pixels:.0f} megapixels"
        measure(name, (options.height, options.width), searches=searches)
    if options.case != "photograph":
        measure(f"A volume of {options.side}³ voxels", (options.side,) * 3, searches=searches)


if __name__ == "__main__":
    main()
