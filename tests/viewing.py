"""A viewer that is served on this machine, and asked as its page asks it."""

import http.client
import io
import json
import threading
import time
from contextlib import contextmanager

import numpy as np
from PIL import Image

from misure.datasets.image_files import ImageFiles
from misure.datasets.sample import Reading
from misure.viewer.serve import Serving
from misure.viewer.session import Network, Session


class Client:
    """Asks one server; `tab` is what its page would be called."""

    def __init__(self, serving):
        self.serving, self.port, self.token = serving, serving.port, serving.token

    def raw(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.raw("GET", f"/{self.token}/{path}", headers=headers)

    def json(self, path, method="GET", body=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        status, _, answer = self.raw(method, f"/{self.token}/{path}", data)
        return status, json.loads(answer)

    def post(self, path, body=None):
        return self.json(path, "POST", body)

    def pixels(self, path):
        status, _, data = self.get(path)
        assert status == 200, data
        return np.asarray(Image.open(io.BytesIO(data)))

    def explained(self, **asked):
        status, answer = self.post("explanations", asked)
        assert status == 200, answer
        return self.until(answer["id"], lambda entry: entry["status"] not in ("queued", "running"))

    def until(self, name, holds, seconds=20, kind="explanations"):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            entry = self.json(f"{kind}/{name}")[1]
            if holds(entry):
                return entry
            time.sleep(0.01)
        raise AssertionError(entry)

    @contextmanager
    def tab(self, name):
        """The stream of events of an open tab."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", f"/{self.token}/events?tab={name}")
        answer = connection.getresponse()
        assert answer.readline() == b": hello\n"
        try:
            yield _events(answer)
        finally:
            answer.close()
            connection.close()


def _events(answer):
    while line := answer.readline():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def png(mask):
    """A mask of bool as the page sends it."""
    buffer = io.BytesIO()
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def files(images, folder):
    paths = []
    for name, image in images.items():
        np.save(folder / name, image)
        paths.append(folder / f"{name}.npy")
    return paths


@contextmanager
def viewer_of(paths, model, out, *, spec="network", grace_s=5.0, **given):
    """A client of a viewer of image files."""
    reading = Reading.for_model(model)
    network = Network(spec=spec, model=model, reading=reading, **given)
    session = Session(ImageFiles(paths, reading=reading), network, out)
    with served(session, grace_s) as client:
        yield client


@contextmanager
def served(session, grace_s=5.0):
    serving = Serving(session, grace_s=grace_s)
    thread = threading.Thread(target=serving.run)
    thread.start()
    try:
        yield Client(serving)
    finally:
        serving.stop()
        thread.join(10)
        assert not thread.is_alive()
