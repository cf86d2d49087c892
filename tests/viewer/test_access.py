"""Attacks: nobody but the viewer's own page gets an answer."""

import io
import json
import struct
import zlib

import numpy as np
import pytest

import viewing


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    import toys

    folder = tmp_path_factory.mktemp("viewer")
    image = np.zeros((1, 24, 32), np.float32)
    image[0, 4:12, 5:15] = 1
    (folder / "secret.txt").write_text("secret")
    with viewing.viewer_of(
        viewing.files({"a": image}, folder),
        toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright")),
        folder,
    ) as client:
        yield client


def test_without_the_secret_nothing_is_said(client):
    for path in (
        "/", "/state", "//state", f"/{client.token[:-1]}/state", f"/{client.token}x/state",
        f"/{client.token.lower()}/state", f"/{client.token}", f"/x/{client.token}/state",
        "/%00/state", "/%FF%FE/state", "/" + "a" * 5000 + "/",
    ):  # fmt: skip
        assert client.raw("GET", path)[::2] == (403, b""), path
    assert client.get("state")[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT"])
def test_every_method_needs_the_secret(client, method):
    assert client.raw(method, "/wrong/explanations", b"{}")[::2] == (403, b"")


def test_another_host_is_refused(client):
    for host in (
        "evil.example", f"evil.example:{client.port}", "127.0.0.1", "localhost",
        f"127.0.0.1:{client.port + 1}", f"0.0.0.0:{client.port}", f"[::1]:{client.port}", "",
    ):  # fmt: skip
        assert client.get("state", {"Host": host})[::2] == (403, b""), host
    assert client.get("state", {"Host": f"localhost:{client.port}"})[0] == 200


def test_another_origin_is_refused(client):
    own = f"http://127.0.0.1:{client.port}"
    for origin in ("https://evil.example", "null", "", f"http://127.0.0.1:{client.port + 1}",
                   f"https://127.0.0.1:{client.port}"):  # fmt: skip
        headers = {"Origin": origin}
        assert client.get("state", headers)[::2] == (403, b""), origin
        answer = client.raw("POST", f"/{client.token}/explanations", b"{}", headers)
        assert answer[::2] == (403, b""), origin
    assert client.get("state", {"Origin": own})[0] == 200


def test_a_request_that_another_site_makes_is_refused(client):
    for site in ("cross-site", "same-site", "anything"):
        assert client.get("state", {"Sec-Fetch-Site": site})[::2] == (403, b"")
    for site in ("same-origin", "none"):
        assert client.get("state", {"Sec-Fetch-Site": site})[0] == 200


def test_a_link_elsewhere_may_open_the_page_and_nothing_else(client):
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert client.get("", link)[0] == 200
    assert client.get("", link | {"Sec-Fetch-Dest": "iframe"})[0] == 403
    assert client.get("", link | {"Sec-Fetch-Mode": "cors"})[0] == 403
    assert client.get("state", link)[0] == 403


def test_what_every_answer_says_to_the_browser(client):
    _, headers, _ = client.get("")
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert not any(name.startswith("access-control") for name in headers)
    assert "server" not in headers


def test_no_path_leads_out_of_the_page(client):
    for path in (
        "pages/../server.py", "pages/..%2fserver.py", "pages/%2e%2e/server.py", "pages/server.py",
        "pages//etc/passwd", "pages/%2fetc%2fpasswd", "pages/..%5cserver.py", "pages/",
        "pages/index.html%00.js", "report/", "report/../secret.txt", "report/%2e%2e%2fsecret.txt",
        "images/..%2f..", "images/-1", "images/1", "images/0x0", "images/%D9%A3", "images/1e9",
        "images/99999999999999999999", "explanations/..", "what-if/..%2f/drawn", "nothing",
    ):  # fmt: skip
        status, _, data = client.get(path)
        assert status in (403, 404), path
        assert b"secret" not in data
        assert b"root:" not in data
        assert b"import" not in data
        if data:
            assert set(json.loads(data)) == {"error"}, path


def _bomb(side):
    """A PNG of `side` x `side` zeros in a few kilobytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    packer, rows = zlib.compressobj(9), bytes(side + 1)
    data = b"".join([*(packer.compress(rows) for _ in range(20)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_masks_of_other_sizes_are_refused_before_they_are_decoded(client):
    right = viewing.png(np.random.default_rng(0).random((24, 32)) > 0.5)
    assert client.post("what-if?image=0&object=0", right)[0] == 200
    wrong = [
        _bomb(60_000), viewing.png(np.ones((32, 24), bool)), b"", b"\x89PNG", b"<svg/>",
        right[:60], right[: len(right) // 2], b"GIF89a" + bytes(100), _header_of(right, 24, 33),
    ]  # fmt: skip
    for number, data in enumerate(wrong):
        status, answer = client.post("what-if?image=0&object=0", data)
        assert (status, set(answer)) == (400, {"error"}), (number, answer)
        assert "Traceback" not in answer["error"]


def _header_of(data, rows, columns):
    changed = bytearray(data)
    changed[16:24] = struct.pack(">II", columns, rows)
    return bytes(changed)


def test_a_picture_in_colours_is_no_mask(client):
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (32, 24)).save(buffer, "PNG")
    status, answer = client.post("what-if?image=0&object=0", buffer.getvalue())
    assert (status, answer["error"]) == (
        400,
        "expected a PNG of 8-bit grey, got one of colours or of other bits.",
    )


def test_bodies_are_limited(client):
    status, answer = client.post("explanations", b"[" * 1_000_001)
    assert (status, answer["error"]) == (413, "expected at most 1,000,000 bytes, got 1,000,001.")
    path = f"/{client.token}/explanations"
    parts = (b"x" * 600_000 for _ in range(2))
    assert client.raw("POST", path, parts)[0] == 413  # no length is said


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"1", b"null", b'{"image": NaN}', b'{"image": 0, "object": Infinity}',
        b'{"image": 0, "object": 0, "dice_threshold": 1e999}', b'{"image": "0", "object": 0}',
        b'{"image": true, "object": 0}', b'{"image": 0}', b'{"image": 0, "object": 0.5}',
        b'{"image": 0, "point": [1]}', b'{"image": 0, "point": [1, 2, 3]}',
        b'{"image": 0, "point": [-1, 0]}', b'{"image": 0, "point": [0, 32]}',
        b'{"image": 0, "point": "00"}', b'{"image": 0, "object": 0, "preset": "no"}',
        b'{"image": 0, "object": 0, "preset": {}}', b'{"image": 0, "object": 0, "seed": -1}',
        b'{"image": 0, "object": 0, "options": []}', b'{"image": 0, "object": 0, "options": {"x": 1}}',
        b'{"image": 0, "object": 0, "dice_threshold": 0}',
        b'{"image": 0, "object": 0, "options": {"baseline_image": "python:/tmp/x.py:f"}}',
        b"[" * 100_000, b"\xff\xfe",
    ],
)  # fmt: skip
def test_bad_questions_get_a_sentence(client, body):
    status, answer = client.post("explanations", body)
    assert (status, set(answer)) == (400, {"error"})
    assert "Traceback" not in answer["error"]


def test_unknown_numbers_and_names_are_not_found(client):
    mask = viewing.png(np.ones((24, 32), bool))
    for method, path, body in (
        ("GET", "images/7", None), ("GET", "images/7/picture", None),
        ("GET", "explanations/e99", None), ("DELETE", "explanations/e99", None),
        ("GET", "explanations/e99/regions/target", None), ("POST", "explanations/e99/save", None),
        ("POST", "explanations", {"image": 0, "object": 9}),
        ("POST", "explanations", {"image": 9, "object": 0}),
        ("GET", "what-if/w99/drawn", None), ("POST", "what-if/w99/check", {}),
        ("POST", "what-if?image=0&object=9", mask), ("POST", "what-if?image=9&object=0", mask),
        ("POST", "what-if?image=0&object=0&baseline=image:9", mask),
    ):  # fmt: skip
        status, answer = client.json(path, method, body)
        assert (status, set(answer)) == (404, {"error"}), path


def test_bad_values_in_addresses_get_a_sentence(client):
    mask = viewing.png(np.ones((24, 32), bool))
    for path in (
        "picture?low=nan", "picture?low=1&high=0", "picture?channel=1", "picture?channel=-1",
        "picture?slice=1", "picture?plane=axial", "picture?max_side=0", "picture?slice=9e9",
        "picture?max_side=100000000", "labels?plane=../..",
    ):  # fmt: skip
        assert client.json(f"images/0/{path}")[0] == 400, path
    for query in (
        "image=0", "object=0", "image=0&object=0&baseline=none", "image=0&object=0&edge_px=-1",
        "image=0&object=0&edge_px=9999", "image=0&object=0&baseline=python:x.py:f",
        "image=0&object=0&baseline=image:x", "image=0&object=0&baseline=mean,noise",
        "image=0&object=0&depth=some", "image=0&object=0&depth=volume2",
    ):  # fmt: skip
        assert client.post(f"what-if?{query}", mask)[0] == 400, query


def test_web_sockets_are_refused(client):
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
    }
    assert client.raw("GET", "/wrong/events", headers=headers)[::2] == (403, b"")
