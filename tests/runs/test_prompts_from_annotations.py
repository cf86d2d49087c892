"""Prompts made from annotations, in runs, comparisons and among missed objects."""

import pytest
import torch

import misure
from misure.datasets.sample import AnnotatedObject, Sample
from misure.errors import InputError
from misure.explanation.annotated_objects import model_for_sample
from misure.explanation.answers.missed_objects import missed_objects
from misure.metrics.comparison.compare import compare
from misure.models.prompted_objects import prompt_for, way_of, with_class_names
from misure.models.prompts import Prompt
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import run
from prompt_toys import nearby, two_squares

NAMES = ("background", "small", "large")


class Squares:
    """Two samples, with the two squares as objects, and a dark one that nobody draws."""

    keys = ("a", "b")
    class_names = NAMES

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, index):
        image = two_squares()
        places = [(1, slice(6, 14), slice(6, 14)), (2, slice(8, 18), slice(30, 40))]
        if index:
            places.append((2, slice(22, 30), slice(2, 12)))  # dark
        objects = []
        for class_index, rows, columns in places:
            region = torch.zeros(image.shape[1:], dtype=torch.bool)
            region[rows, columns] = True
            objects.append(AnnotatedObject(class_index, region, f"{class_index}"))
        annotation = sum(one.class_index * one.region for one in objects)
        return Sample(self.keys[index], image, annotation, objects=tuple(objects))


def test_the_prompt_of_an_object_is_its_box_or_its_innermost_pixel():
    region = torch.zeros(9, 12, dtype=torch.bool)
    region[2:7, 3:8] = True
    region[2, 3:12] = True  # an arm that reaches the edge
    assert prompt_for(region, "box") == Prompt(box=(2, 3, 7, 12))
    assert prompt_for(region, "point") == Prompt(points=((4, 5),))
    corner = torch.zeros(9, 12, dtype=torch.bool)
    corner[:3, :3] = True  # the edge of the image is an edge of the object
    assert prompt_for(corner, "point") == Prompt(points=((1, 1),))


def test_a_way_is_said_alone_and_in_words():
    assert way_of("annotations:box") == way_of(["annotations:box"]) == "box"
    assert way_of("annotations:point") == "point"
    assert way_of(["point:1,2"]) is way_of(Prompt(text="a dog")) is None
    for given in ("annotations", "annotations:mask", ["annotations:box", "point:1,2"]):
        with pytest.raises(InputError, match="annotations:box .the box of each object. or"):
            way_of(given)


@pytest.mark.parametrize("way", ["box", "point"])
def test_objects_are_what_the_network_draws_for_their_prompts(way):
    dataset = Squares()
    model = with_class_names(nearby().with_prompts(f"annotations:{way}"), NAMES)
    found = misure.segment(model_for_sample(model, dataset[1]), two_squares())
    assert found.num_classes == 3
    # nothing is drawn for the dark one's box or point
    assert sorted(one.class_index for one in found.objects) == [1, 2]
    for one in found.objects:
        drawn = dataset[1].objects[one.class_index - 1].region
        assert torch.equal(one.region, drawn)
        assert one.score == pytest.approx(0.9)
        assert torch.equal(found.class_region(one.class_index), drawn)
    target = found.target(class_name="large", instance=0)
    assert target.class_name == "large"
    assert target.dice_of_logits(target.bound(model)(two_squares()[None])) == [1.0]


def test_an_image_without_annotations_is_refused():
    model = nearby().with_prompts("annotations:box")
    with pytest.raises(InputError, match=r"annotated objects for prompts from annotations"):
        misure.segment(model, two_squares())


def test_a_run_explains_each_annotated_object(tmp_path):
    model = nearby().with_prompts("annotations:point")
    options = {"preset": "quick", "max_passes": 60}
    run(Squares(), model, tmp_path / "run", RunPlan(instances=True, method_options=options))
    folder = RunFolder(tmp_path / "run")
    assert folder.settings().class_names == list(NAMES)
    assert folder.settings().model_settings["prompts_from"] == "annotations:point"
    records = {record.key: record for record in folder.records()}
    assert {*records} == {"a#1.0", "a#2.0", "b#1.0", "b#2.0"}
    assert {record.class_name for record in records.values()} == {"small", "large"}


def test_a_comparison_measures_annotated_objects():
    model = nearby().with_prompts("annotations:box")
    found = compare(
        model, Squares(), methods=["rise"], metrics=["average_precision"], class_index=1,
        method_options={"rise": {"num_masks": 20}},
    )  # fmt: skip
    assert [row.error for row in found.rows] == ["", ""]


def test_an_object_that_its_prompt_does_not_draw_is_missed():
    model = nearby().with_prompts("annotations:box")
    missed = [*missed_objects(model, Squares())]
    assert [one.key for one in missed] == ["b large 2"]
    assert missed[0].drawn_dice == 0
