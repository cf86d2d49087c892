"""The benchmarks of searches: what their tables compute, on toys whose answer is known."""

import argparse
import json
from pathlib import Path

import pytest
import torch

import misure
import toys

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _benchmarks_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def _square(size=32):
    from objects import FoundObject

    model, image = toys.model_of(toys.OwnBrightness()), torch.zeros(1, size, size)
    image[0, 8:18, 6:16] = 1.0
    return model, FoundObject("square", image, misure.predicted_target(model, image, 1))


@pytest.mark.parametrize(
    ("text", "name", "preset", "options"),
    [
        ("paper", "paper", "paper", {}),
        ("smallest@96", "smallest@96", "smallest", {"max_passes": 112}),
        (
            "smallest@96,num_minimality_tests=0",
            "smallest@96,num_minimality_tests=0",
            "smallest",
            {"max_passes": 96, "num_minimality_tests": 0},
        ),
        (
            "two=preset:smallest,baseline_image=mean,blurred,edge_px=4,one_minimal=true",
            "two",
            "smallest",
            {"baseline_image": "mean,blurred", "edge_px": 4, "one_minimal": True},
        ),
    ],
)
def test_a_search_is_named_in_one_word(text, name, preset, options):
    from searches import NamedSearch, parse_search

    assert parse_search(text) == NamedSearch(name, preset, options)


def test_an_unknown_search_or_option_ends_with_its_reason():
    from searches import parse_search

    with pytest.raises(SystemExit, match="expected an option of preset smallest"):
        parse_search("smallest,edge=3")
    with pytest.raises(SystemExit, match="'smalest'"):
        parse_search("smalest")


def test_rows_are_made_once_and_hold_the_regions(tmp_path):
    from searches import Rows, parse_search, search_passes, unpacked

    model, found = _square()
    path, search = tmp_path / "rows.jsonl", parse_search("smallest")
    row = Rows(path).find(model, found, search)
    again = Rows(path).find(None, found, search)  # no model: nothing is computed
    explanation = misure.explain(model, found.image, found.target, preset="smallest")
    assert len(path.read_text().splitlines()) == 1
    assert again == json.loads(json.dumps(row))
    assert unpacked(again).equal(explanation.minimally_sufficient_region)
    assert unpacked(again, "sufficient").equal(explanation.sufficient_region)
    assert row["again"] == explanation.dice
    assert set(row["dice_on"]) == {"blurred", "noise"}
    assert search_passes(row) == explanation.cost.pass_equivalents - explanation.minimality.passes


def test_the_table_relates_each_area_to_that_of_the_paper(tmp_path, capsys):
    import search as benchmark
    from searches import Rows, parse_search

    model, found = _square()
    rows = tmp_path / "rows.jsonl"
    row = Rows(rows).find(model, found, parse_search("sufficient_region"))
    made = []
    for name, factors in (("paper", (1, 1)), ("one", (0.25, 1.01)), ("two", (0.5, 1.5))):
        for key, factor in zip("ab", factors, strict=True):
            small = row["minimally_sufficient_region"] | {"area_fraction": 0.1 * factor}
            about = {"key": key, "search": name, "preset": name}
            made.append(row | about | {"minimally_sufficient_region": small})
    changed = made[-1] | {"change": "noise", "key": "a"}  # tells nothing of the image as it was
    unrelated = made[0] | {"key": "d", "search": "old"}
    for later in ("change", "region", "sufficient", "dice_on"):  # rows of before have none
        del unrelated[later]
    rows.write_text("".join(json.dumps(one) + "\n" for one in [*made, changed, unrelated]))
    figure = tmp_path / "figure.png"
    benchmark.table(argparse.Namespace(rows=[rows], objects=True, figure=figure))
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    by_search = {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:6]}
    columns = ("objects", "relative to paper: median", "mean", "larger than paper", "at most half")
    shown = {name: [line[column] for column in columns] for name, line in by_search.items()}
    assert shown["| paper"] == ["2", "1.00", "1.00", "0", "0"]
    assert shown["| one"] == ["2", "0.63", "0.63", "0", "1"]
    assert shown["| two"] == ["2", "1.00", "1.00", "1", "1"]
    assert by_search["| one"]["geometric mean"] == "0.50"
    assert shown["| old"] == ["–"] * 5  # the paper has no such object
    assert figure.stat().st_size > 0
    made[1]["again"] -= 0.01
    rows.write_text(json.dumps(made[1]))
    with pytest.raises(SystemExit, match="shown again"):
        benchmark.table(argparse.Namespace(rows=[rows], objects=False, figure=None))


def test_a_region_that_moves_with_its_image_is_stable(tmp_path):
    import stability
    from searches import Rows, parse_search

    model, found = _square()
    search, rows = parse_search("sufficient_region"), Rows(tmp_path / "rows.jsonl")
    shift, noise = [
        stability.repeated(model, found, search, change, rows) for change in ("shift", "noise")
    ]
    share = 100 / 32**2  # the region is the square, before and after
    assert shift == noise == stability.Repeated(1.0, share / (2 - share), 1.0)
    assert {change for _, _, change in rows.rows} == {"", "shift", "noise"}


def test_random_parts_are_blocks_of_the_region():
    import transfer

    region = torch.zeros(32, 32, dtype=torch.bool)
    region[3:29, 5:30] = True
    blocks, pixels = (transfer.random_part(region, 100, side) for side in (4, 1))
    for part in (blocks, pixels):
        assert part.sum() == 100
        assert not (part & ~region).any()
    met = [part.view(8, 4, 8, 4).any((1, 3)).sum() for part in (blocks, pixels)]
    assert met[0] < 12
    assert met[1] > 30
    assert transfer.random_part(region, 10_000, 4).equal(region)


def test_a_sisters_object_is_the_one_where_the_target_is():
    from misure.explanation.answers.stability import same_object

    model, found = _square()
    image = found.image.clone()
    image[0, 24:26, 24:26] = 1.0
    target = same_object(model, image, found.target)
    assert target.region.equal(found.target.region)
    assert int(target.ignored.sum()) == 4
    assert same_object(model, torch.zeros_like(image), found.target) is None


def test_a_region_of_a_square_holds_under_changes_that_leave_its_outline(tmp_path):
    import changes
    from searches import Rows, parse_search

    model, found = _square()
    probe = changes.probe_of(model, found)
    square = found.target.region
    dices = changes.dices_under(model, probe, square)
    assert [kind for kind, _ in dices] == [
        *["shift"] * 4, *["noise"] * 3, "edge 1 px", "edge 2 px", "edge 3 px",
        "on blurred", "on noise", "on filled",
    ]  # fmt: skip
    assert {dice for kind, dice in dices if kind in ("shift", "noise")} == {1.0}
    row = Rows(tmp_path / "rows.jsonl").find(model, found, parse_search("sufficient_region"))
    small = row["minimally_sufficient_region"]
    assert small["dice_under_small_changes"]["shift"] == 1.0
    assert changes.is_lost(row) == (small["dice_under_small_changes"]["soft_edge"] < 0.8)


def test_what_is_asked_to_keep_a_share_is_counted_by_its_answer(tmp_path, capsys):
    import robustness
    from searches import parse_search

    class Dark:
        keys = ("one", "two", "square")

        def __getitem__(self, number):
            generator = torch.Generator().manual_seed(number)
            return argparse.Namespace(image=0.3 * torch.rand(1, 32, 32, generator=generator))

    model, found = _square()
    search = parse_search("quick")
    images = robustness.Images(Dark(), "square")
    assert len(images) == 2
    assert images[1].equal(Dark()[1].image)
    record = robustness.kept(model, found, Dark(), search) | {"search": "quick", "key": "square"}
    kinds = record["robustness"]["by_kind"]
    assert kinds["flat"]["held"] == kinds["flat"]["drawn"]
    assert 0.03 < record["sufficient"] <= record["area"] <= 1
    robustness._table_of_kept([record])
    answers = [int(record["robustness"]["answer"] == each) for each in ("yes", "unclear", "no")]
    assert "| quick | 1 | {} | {} | {} |".format(*answers) in capsys.readouterr().out


def test_a_picture_of_the_guide_loses_its_margins_and_nothing_else():
    from PIL import Image

    from guide_pictures import trimmed

    picture = Image.new("RGBA", (100, 80), "white")
    picture.paste((10, 20, 30, 255), (40, 3, 60, 50))
    found = trimmed(picture)
    assert found.size == (20 + 2 * 6, 3 + 47 + 6)
    assert found.getpixel((6, 3)) == (10, 20, 30)
    assert trimmed(Image.new("RGB", (9, 7), "white")).size == (9, 7)


def test_every_photograph_of_the_guide_has_its_picture_and_its_licence():
    from guide_pictures import CASES, OF_QUESTIONS

    guide = ROOT / "docs" / "guide"
    text = (guide / "reading-an-explanation.md").read_text()
    sections = text.partition("## Six photographs")[2].split("\n### ")[1:]
    assert len(sections) == len(CASES)
    for case, section in zip(CASES, sections, strict=True):
        assert f"`{case.drawn}.png` of {case.photograph}" in section
        assert f"--class {case.class_name}" in section
    sections.append((guide / "questions.md").read_text())
    for case, section in zip((*CASES, OF_QUESTIONS), sections, strict=True):
        assert f"](../images/{case.name}.jpg)" in section
        assert (ROOT / "docs" / "images" / f"{case.name}.jpg").is_file()
        assert case.photograph.lstrip("0") in section
        assert "creativecommons.org/licenses/by" in section


def test_the_photographs_of_the_gallery_are_those_that_are_made_again():
    from guide_pictures import OF_GALLERY

    text = (ROOT / "docs" / "guide" / "gallery.md").read_text()
    for case in OF_GALLERY:
        assert f"](../images/{case.name}.jpg)" in text
        assert (ROOT / "docs" / "images" / f"{case.name}.jpg").is_file()
        assert f"COCO val2017 {case.photograph.lstrip('0')}" in text


def test_the_planted_channel_differs_on_the_leaked_class_alone():
    import numpy as np

    import channels

    for seed in range(3):
        plan = channels.Plan.of(seed)
        label = np.zeros((40, 56), dtype=np.int64)
        label[5:10], label[20:30] = 1, 2
        image = np.random.default_rng(seed).normal(size=label.shape)
        with_leak, without = channels._channels(image, label, plan, np.random.default_rng(0))
        differs = with_leak != without
        number = plan.order.index("leaking")
        assert torch.equal(differs[number], torch.from_numpy(label == plan.leaked))
        assert not differs[[i for i in range(4) if i != number]].any()
        assert torch.equal(with_leak[plan.order.index("t1")], torch.from_numpy(image).float())
