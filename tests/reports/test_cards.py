"""What the cards of the report say."""

from msgspec.structs import replace

from browsing import cards, until
from misure.explanation.record import transfer_source
from misure.explanation.removal import Minimality
from misure.reports.answers import LABELS as ANSWER_LABELS
from misure.reports.cards import Numbered, columns_of, natural_order
from misure.reports.figures import LABELS, figures_of, notes_of
from misure.reports.page import write_report
from misure.runs.alignment import AlignedObject
from misure.runs.run import read_run
from painted import ROWS, THING_SKY, Painted, run_painted


def _done(folder):
    return next(one for one in read_run(folder / "first") if one.status == "done")


def test_what_was_not_reduced_is_noted(folder):
    record = _done(folder)
    passes = record.cost.pass_equivalents
    small = replace(record.minimally_sufficient_region, stopped_by="end", is_reduced=True)
    known = replace(record, minimally_sufficient_region=small, minimality=None)
    assert notes_of(known) == []
    tried = Minimality(cell_px=2, cells_left=20, cells_tested=16, removable=16, passes=16)
    assert notes_of(replace(known, minimality=tried)) == [
        "16 of 16 tested blocks can still be removed"
    ]
    whole = replace(known, minimally_sufficient_region=replace(small, is_reduced=False))
    assert notes_of(replace(whole, minimality=tried)) == [
        f"not reduced within {passes} pass equivalents", "16 of 16 tested blocks can still be removed",
    ]  # fmt: skip


def test_a_region_that_leans_on_its_baseline_image_is_said_to(folder):
    record = _done(folder)
    lost = dict.fromkeys(record.minimally_sufficient_region.dice_on_other_baseline_images, 0.25)
    assert list(lost) == ["blurred", "noise", "filled"]
    names = Numbered()
    for dices, said in ((lost, ["it leans on that fill."]), (lost | {"noise": 1.0}, [])):
        small = replace(record.minimally_sufficient_region, dice_on_other_baseline_images=dices)
        one = replace(record, minimally_sufficient_region=small)
        columns = columns_of([AlignedObject([one], [None])], [{}], [{}], names)
        leans = columns["runs"][0]["leans"]
        assert [text.split(": ")[1] for text in leans.values()] == said
        assert columns["runs"][0]["figures"]["dice_on_noise"] == [dices["noise"]]


def test_a_region_that_small_changes_undo_is_said_to(folder):
    record = _done(folder)
    lost = {"shift": 0.25, "noise": 1.0, "soft_edge": 1.0}
    names = Numbered()
    for dices, said in ((lost, ["a shift of one pixel 0.25"]), (lost | {"shift": 1.0}, [])):
        small = replace(
            record.minimally_sufficient_region,
            dice_under_small_changes=dices,
            whole_image_under_small_changes={"shift": 1.0, "noise": 1.0},
        )
        one = replace(record, minimally_sufficient_region=small)
        (run,) = columns_of([AlignedObject([one], [None])], [{}], [{}], names)["runs"]
        assert [text.split("(")[1].split(")")[0] for text in run["lost"].values()] == said
        assert run["figures"]["dice_under_shift"] == [dices["shift"]]
        assert run["figures"]["whole_under_shift"] == [1.0]


def test_the_image_of_the_transfer_is_named(folder):
    record = _done(folder)
    assert transfer_source(replace(record, transfer_from="turned")) == "this image turned by 180°"
    assert transfer_source(replace(record, transfer_from="b.png")) == "b.png"
    resized = replace(record, transfer_from="tensor", transfer_resized=True)
    assert transfer_source(resized) == "another image, scaled and cropped"


def test_every_figure_has_a_label_and_is_read(folder):
    record = _done(folder)
    small, large = record.minimally_sufficient_region, record.sufficient_region
    record = replace(
        record,
        augmented_dice={"flip": 0.5, "shift": 1.0},
        target=replace(record.target, score=0.7),
        minimality=Minimality(cell_px=2, cells_left=9, cells_tested=8, removable=2, passes=8),
        minimally_sufficient_region=replace(
            small,
            area_mm2=1.0,
            volume_mm3=2.0,
            dice_on_other_baseline_images={"mean": 0.1, "blurred": 0.2, "noise": 0, "filled": 0.3},
        ),
        sufficient_region=replace(large, growth_mm=3.0),
    )
    predicted = dict.fromkeys(("failure_probability", "predicted_dice", "low", "high"), 0.5)
    figures = figures_of(record, 0.3, predicted, 0.4)
    assert set(figures) == set(LABELS) - set(ANSWER_LABELS)
    assert (figures["augmented_dice"], figures["removable"], figures["overlap"]) == (
        0.75,
        0.25,
        0.3,
    )
    assert figures["growth_mm"] == 3.0
    assert figures["score"] == 0.7


def test_networks_side_by_side_show_the_same_object(browser, tmp_path):
    """The second network numbers classes otherwise and finds a part of the right thing only."""
    run_painted(tmp_path / "a", *THING_SKY)
    net = Painted((1, 0), without=[(ROWS, slice(22, 28))])
    run_painted(tmp_path / "b", net, ("", "sky", "thing"))
    (page,) = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "r.html")
    browser.get(page.as_uri())
    until(lambda: cards(browser))
    assert cards(browser) == ["thing 0 · a#1.0", "thing 1 · a#1.1", "sky 0 · a#2.0"]
    notes = browser.execute_script(
        "return [...document.querySelectorAll('.card .notes')].map((one) => one.textContent)"
    )
    assert notes == [
        "here thing 1 · a#2.1, overlap 0.50",
        "here thing 0 · a#2.0",
        "here sky 0 · a#1.0",
    ]
    browser.execute_script("document.querySelector('.card').click()")
    until(lambda: len(browser.find_elements("css selector", "#large canvas")) == 4)
    captions = [one.text for one in browser.find_elements("css selector", "#large figcaption")]
    assert captions == ["image", "saliency map over the image"] * 2


def test_natural_order_of_names(folder):
    keys = ["b", "a 10", "a 2", "a 002b", "A 1", "9" * 5000, "٣"]
    objects = [AlignedObject([replace(_done(folder), key=key)], [None]) for key in keys]
    ordered = [one.first.key for one in natural_order(objects)]
    assert ordered == ["9" * 5000, "A 1", "a 2", "a 002b", "a 10", "b", "٣"]
