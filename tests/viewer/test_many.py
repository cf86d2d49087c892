"""Many requests: nothing grows, nothing is left open."""

import gc
import threading
from pathlib import Path

import numpy as np
import pytest

import toys
import viewing

NUM, OPEN = 1_000, Path("/proc/self/fd")


@pytest.mark.slow
def test_many_requests(tmp_path):
    """From four tabs, a tenth of them wrong: all are answered, memory and files stay bounded."""
    import http.client

    image = np.zeros((1, 24, 32), np.float32)
    image[0, 4:12, 5:15] = 1
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    with viewing.viewer_of(viewing.files({"a": image}, tmp_path), model, tmp_path) as client:
        assert client.explained(image=0, object=0, preset="quick")["status"] == "done"
        wanted = [
            ("GET", "state", 200), ("GET", "images/0", 200), ("GET", "images/0/labels", 200),
            ("GET", "images/0/picture?low=0.1", 200), ("GET", "explanations", 200),
            ("GET", "explanations/e1/map", 200), ("GET", "explanations/e1/regions/target", 200),
            ("POST", "what-if?image=0&object=0", 200), ("GET", "explanations/e9", 404),
            ("GET", "nothing", 404),
        ]  # fmt: skip
        mask, wrong = viewing.png(image[0] > 0), []

        def many():
            connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
            for number in range(NUM // 4):
                method, path, status = wanted[number % len(wanted)]
                connection.request(
                    method, f"/{client.token}/{path}", mask if method == "POST" else None
                )
                answer = connection.getresponse()
                answer.read()
                if answer.status != status:
                    wrong.append((path, answer.status))
            connection.close()

        before = len([*OPEN.iterdir()])
        threads = [threading.Thread(target=many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
        assert wrong == []
        assert len([*OPEN.iterdir()]) <= before + 10
        assert client.serving.viewer.what_ifs.num_bytes < 400e6
