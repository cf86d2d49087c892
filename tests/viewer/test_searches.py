"""Searches that are cancelled, left, raise; and questions that are asked while one runs."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import misure
import toys
import viewing


class Gate(torch.nn.Module):
    """`OwnBrightness` that waits in each pass while its gate is shut, and raises if it is told to."""

    def __init__(self):
        super().__init__()
        self.own, self.open = toys.OwnBrightness(), threading.Event()
        self.open.set()
        self.num_passes, self.fails, self.leaves = 0, False, False
        self.is_in_pass = threading.Event()

    def forward(self, images):
        self.num_passes += 1
        self.is_in_pass.set()
        assert self.open.wait(30)
        self.is_in_pass.clear()
        if self.leaves:
            raise SystemExit(3)
        if self.fails:
            raise KeyError("weights are gone")
        return self.own(images)


@pytest.fixture
def net():
    return Gate()


def _image():
    image = np.zeros((1, 24, 32), np.float32)
    image[0, 4:12, 5:15], image[0, 16:20, 20:30] = 1, 0.8
    return image


@pytest.fixture
def client(net, tmp_path):
    image = _image()
    model = toys.model_of(net, class_names=("dark", "bright"), batch_size=1)
    paths = viewing.files({"a": image}, tmp_path)
    with viewing.viewer_of(paths, model, tmp_path, grace_s=0.2) as client:
        assert client.json("images/0")[0] == 200
        yield client
        net.open.set()


def _started(client, net, **asked):
    """A search that is within a pass, which does not end."""
    net.open.clear()
    net.is_in_pass.clear()
    status, answer = client.post("explanations", {"image": 0, "object": 0} | asked)
    assert status == 200
    assert net.is_in_pass.wait(10)
    return answer["id"]


def _passes_stay(net):
    before = net.num_passes
    time.sleep(0.2)
    return net.num_passes == before


def test_a_search_is_cancelled_within_a_pass(client, net):
    name = _started(client, net)
    status, entry = client.json(f"explanations/{name}", "DELETE")
    assert (status, entry["status"], entry["doing"]) == (200, "running", "ending after this pass")
    net.open.set()
    assert client.until(name, lambda e: e["status"] == "cancelled")
    assert _passes_stay(net)
    assert net.own.training == net.training
    assert client.json(f"explanations/{name}/regions/target")[1] == {
        "error": "expected an explanation that is done."
    }


def test_one_that_waits_is_cancelled_at_once_and_the_others_go_on(client, net):
    first = _started(client, net, preset="quick")
    second, third = (
        client.post("explanations", {"image": 0, "object": number, "preset": "quick", "seed": 1})[1]
        for number in (0, 1)
    )
    assert client.json(f"explanations/{second['id']}", "DELETE")[1]["status"] == "cancelled"
    net.open.set()
    done = [client.until(name, lambda e: e["status"] == "done") for name in (first, third["id"])]
    assert [entry["object"] for entry in done] == [0, 1]
    statuses = [entry["status"] for entry in client.json("explanations")[1]]
    assert statuses == ["done", "cancelled", "done"]


def test_a_brush_is_answered_while_a_search_runs(client, net):
    name = _started(client, net, preset="quick")
    answers = []
    mask = viewing.png(np.ones((24, 32), bool))

    def paint():
        answers.append(client.post("what-if?image=0&object=0&tab=t", mask))

    threads = [threading.Thread(target=paint) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    net.open.set()
    for thread in threads:
        thread.join()
    assert client.json(f"explanations/{name}")[1]["status"] in ("running", "done")
    assert sorted(status for status, _ in answers) == [200, 409, 409]  # the newest is answered
    replaced = [answer for status, answer in answers if status == 409]
    assert replaced == [{"error": "a newer one has taken its place.", "replaced": True}] * 2
    entry = client.until(name, lambda e: e["status"] == "done")
    assert entry["passes"] <= entry["max_passes"]
    assert net.num_passes >= entry["passes"] + 1  # the brush's pass is not the search's
    alone = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"), batch_size=1)
    image = torch.from_numpy(_image())
    target = misure.predicted_target(alone, image, 1, instance=0)
    expected = misure.explain(alone, image, target, preset="quick")
    assert entry["passes"] == expected.cost.pass_equivalents
    mask = client.pixels(f"explanations/{name}/regions/minimally_sufficient_region")
    assert np.array_equal(mask == 255, expected.minimally_sufficient_region)


def test_a_search_tells_what_it_finds(client):
    with client.tab("t") as events:
        name = client.post("explanations?tab=t", {"image": 0, "object": 0, "preset": "quick"})[1][
            "id"
        ]
        told = []
        for event in events:
            told.append(event)
            if event.get("status") == "done":
                break
    found = [event for event in told if event["type"] == "found"]
    assert {event["region"] for event in found} == {
        "sufficient_region",
        "minimally_sufficient_region",
    }
    assert all(event["dice"] >= 0.9 and event["id"] == name for event in found)
    statuses = [event["status"] for event in told if event["type"] == "explanation"]
    assert statuses[0] == "queued"
    assert statuses[-1] == "done"
    assert "running" in statuses


def test_what_is_found_so_far_can_be_seen(client, net):
    regions = []
    status, answer = client.post("explanations", {"image": 0, "object": 0})
    net_open = client.until(answer["id"], lambda e: e["regions"] or e["status"] == "done")
    for name in net_open["regions"]:
        regions.append(client.get(f"explanations/{answer['id']}/regions/{name}")[0])
    assert status == 200
    assert set(regions) == {200}


def test_a_closed_tab_ends_what_only_it_asked_for(client, net):
    with client.tab("one"), client.tab("two"):
        name = _started(client, net, preset="quick")  # asked for by no tab
        mine = client.post("explanations?tab=one", {"image": 0, "object": 1})[1]["id"]
        ours = {"image": 0, "object": 1, "seed": 1, "preset": "quick"}
        shared = client.post("explanations?tab=one", ours)[1]["id"]
        assert client.post("explanations?tab=two", ours)[1]["id"] == shared
        client_one_is_open = client.json("explanations")[1]
        assert [entry["status"] for entry in client_one_is_open] == ["running", "queued", "queued"]
    with client.tab("two"):
        assert client.until(mine, lambda e: e["status"] == "cancelled")
        net.open.set()
        assert client.until(shared, lambda e: e["status"] == "done")
        assert client.until(name, lambda e: e["status"] == "done")


def test_a_tab_that_is_closed_in_the_middle_of_a_search_leaves_nothing_running(client, net):
    with client.tab("one"):
        net.open.clear()
        net.is_in_pass.clear()
        name = client.post("explanations?tab=one", {"image": 0, "object": 0})[1]["id"]
        assert net.is_in_pass.wait(10)
    client.until(name, lambda e: e["doing"] == "ending after this pass")
    net.open.set()
    assert client.until(name, lambda e: e["status"] == "cancelled")
    assert _passes_stay(net)


def test_a_tab_that_is_loaded_again_keeps_its_search(client, net):
    with client.tab("one"):
        net.open.clear()
        name = client.post("explanations?tab=one", {"image": 0, "object": 0, "preset": "quick"})[1]
    with client.tab("one"):
        time.sleep(0.4)
        net.open.set()
        assert client.until(name["id"], lambda e: e["status"] == "done")


def test_a_network_that_raises_is_answered_and_the_next_search_works(client, net):
    net.fails = True
    entry = client.explained(image=0, object=0, preset="quick")
    assert entry["status"] == "failed"
    assert "weights are gone" in entry["error"]
    assert "Traceback" not in entry["error"]
    mask = viewing.png(np.ones((24, 32), bool))
    status, answer = client.post("what-if?image=0&object=0", mask)
    assert status == 500
    assert "weights are gone" in answer["error"]
    net.fails = False
    assert client.explained(image=0, object=0, preset="quick")["status"] == "done"


def test_the_server_ends_within_two_seconds_while_a_pass_does_not(net, tmp_path):
    image = np.zeros((1, 24, 32), np.float32)
    image[0, 4:12, 5:15] = 1
    model = toys.model_of(net, class_names=("dark", "bright"))
    with viewing.viewer_of(viewing.files({"a": image}, tmp_path), model, tmp_path) as client:
        client.json("images/0")
        with client.tab("one"):
            _started(client, net)
            waiting = threading.Thread(target=lambda: client.get("images/0/picture"), daemon=True)
            waiting.start()
            start = time.monotonic()
            client.serving.stop()
            while not client.serving.viewer.session.worker.is_over:
                time.sleep(0.01)
        serving = client.serving
    assert time.monotonic() - start < 3
    assert serving.has_ended is False  # so that the command leaves at once
    net.open.set()


def test_too_many_questions_are_refused(client, net):
    from misure.viewer.searches import MOST_OPEN

    _started(client, net)
    for seed in range(1, MOST_OPEN):
        assert client.post("explanations", {"image": 0, "object": 0, "seed": seed})[0] == 200
    status, answer = client.post("explanations", {"image": 0, "object": 0, "seed": MOST_OPEN})
    assert (status, answer) == (409, {"error": "expected at most 100 explanations in the queue."})
    for entry in client.json("explanations")[1]:
        client.json(f"explanations/{entry['id']}", "DELETE")


def test_explanations_that_do_not_fit_into_memory_are_read_again(client, monkeypatch):
    searches = client.serving.viewer.searches
    monkeypatch.setattr(searches._done, "_most", 0)
    first = client.explained(image=0, object=0, preset="quick")
    client.explained(image=0, object=1, preset="quick")
    assert searches._done.get(first["id"]) is None
    again = client.json(f"explanations/{first['id']}")[1]
    assert again == first
    path = f"explanations/{first['id']}/regions/minimally_sufficient_region"
    assert client.pixels(path).any()


def test_a_cache_keeps_what_was_used_last():
    from misure.viewer.cache import Cache

    gone = []
    cache = Cache(3e-6, lambda key, value: gone.append((key, value)))
    for key in "abc":
        cache.put(key, key.upper(), 1)
    assert cache.get("a") == "A"
    cache.put("d", "D", 1)
    assert gone == [("b", "B")]
    cache.put("e", "E", 10)  # larger than all that is allowed
    assert [cache.get(key) for key in "acde"] == [None, None, None, "E"]
    assert cache.num_bytes == 10


def test_a_network_that_would_end_its_thread_is_an_error_like_others(client, net):
    net.leaves = True
    shown = viewing.png(np.ones((24, 32), bool))
    status, answer = client.post("what-if?image=0&object=0", shown)
    assert (status, answer["error"]) == (500, "the network raised SystemExit.")
    entry = client.explained(image=0, object=0, preset="quick")
    assert (entry["status"], "SystemExit" in entry["error"]) == ("failed", True)
    net.leaves = False
    assert client.post("what-if?image=0&object=0", shown)[1]["dice"] == 1


def test_what_is_asked_at_once_has_its_own_id_and_the_same_is_searched_once(client, net):
    def ask(number):
        body = {"image": 0, "object": number % 2, "preset": "quick", "seed": number // 4}
        return client.post("explanations", body)[1]["id"]

    with ThreadPoolExecutor(12) as threads:
        ids = list(threads.map(ask, range(24)))
    asked = [(number % 2, number // 4) for number in range(24)]
    assert len(set(ids)) == len(set(asked)) == len(set(zip(ids, asked, strict=True)))


def _check_in_a_pass(client, net, tab=""):
    shown = viewing.png(np.ones((24, 32), bool))
    made = client.post("what-if?image=0&object=0", shown)[1]["id"]
    net.open.clear()
    net.is_in_pass.clear()
    name = client.post(f"what-if/{made}/check?tab={tab}", {})[1]["id"]
    assert net.is_in_pass.wait(10)
    return name


def _until_cancelled(client, name):
    return client.until(name, lambda e: e["status"] == "cancelled", kind="checks")


def test_a_check_is_cancelled_within_a_pass(client, net):
    name = _check_in_a_pass(client, net)
    status, entry = client.json(f"checks/{name}", "DELETE")
    assert (status, entry["status"], entry["doing"]) == (200, "running", "ending after this pass")
    before = net.num_passes
    net.open.set()
    entry = _until_cancelled(client, name)
    assert net.num_passes <= before + 1
    assert entry["passes"] < entry["max_passes"]
    assert _passes_stay(net)
    assert client.json("explanations")[1] == []  # it is none of these
    assert client.json(f"explanations/{name}")[0] == 404


def test_a_tab_that_is_closed_ends_its_check(client, net):
    with client.tab("one"):
        name = _check_in_a_pass(client, net, tab="one")
    client.until(name, lambda e: e["doing"] == "ending after this pass", kind="checks")
    net.open.set()
    _until_cancelled(client, name)
    assert _passes_stay(net)


def test_a_search_is_cancelled_also_while_it_measures_what_it_found(client, net):
    name = client.post("explanations", {"image": 0, "object": 0, "preset": "quick"})[1]["id"]
    done = client.until(name, lambda e: e["status"] == "done")["passes"]
    searches = client.serving.viewer.searches
    between = searches._between

    def cancelling(entry, doing, cost):
        if doing == "measuring":
            entry.is_ending = True
        between(entry, doing, cost)

    searches._between = cancelling
    again = client.explained(image=0, object=0, preset="quick", seed=1)
    assert again["status"] == "cancelled"
    assert again["passes"] <= done - 10  # the evidence takes eleven
