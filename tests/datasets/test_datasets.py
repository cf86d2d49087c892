import gzip
import struct

import numpy as np
import pytest
import torch
from PIL import Image

import misure
from misure.datasets import ImageFiles, Reading, Sample, SampleList, as_dataset, open_dataset
from misure.datasets.sample import files_of
from misure.datasets.triangle.dataset import TriangleDataset
from misure.datasets.triangle.glyphs import read_glyphs
from misure.errors import MisureWarning


def test_the_same_seed_gives_the_same_sample():
    a, b = (TriangleDataset(5, seed=7)[3] for _ in range(2))
    assert torch.equal(a.image, b.image)
    assert a.key == "triangle-test-7-3"
    assert not torch.equal(a.image, TriangleDataset(5, seed=8)[3].image)
    assert not torch.equal(a.image, TriangleDataset(5, seed=7, split="train")[3].image)


def _side_lengths(sample):
    points = np.array(sample.corners, float)
    return np.linalg.norm(points - np.roll(points, 1, 0), axis=1)


@pytest.mark.parametrize(("size_px", "side_px"), [(96, None), (64, None), (160, 70.0)])
def test_three_items_stand_on_an_equilateral_triangle(size_px, side_px):
    dataset = TriangleDataset(8, size_px=size_px, side_px=side_px)
    for sample in (dataset[i] for i in range(8)):
        assert sample.image.shape == (1, size_px, size_px)
        assert 0 <= float(sample.image.min()) <= float(sample.image.max()) <= 1
        assert sample.annotation.dtype == torch.int64
        assert torch.equal(sample.relevance, sample.annotation == 1)
        assert len(sample.corners) == 3
        for corner in sample.corners:
            assert sample.annotation[corner] == 1
        assert _side_lengths(sample) == pytest.approx(dataset.side_px, abs=dataset.glyph_px / 2)
        bright = (sample.image[0] > 0.35).float()
        assert float((bright * (1 - sample.annotation)).sum()) > 50  # distractors are there


def test_without_a_triangle_nothing_is_foreground():
    dataset = TriangleDataset(6, empty_fraction=1.0)
    for sample in (dataset[i] for i in range(6)):
        assert not sample.annotation.any()
        assert sample.corners == ()


def test_the_disc_decides_and_is_relevant():
    dataset = TriangleDataset(40, disc=True)
    samples = [dataset[i] for i in range(40)]
    with_foreground = [sample for sample in samples if sample.annotation.any()]
    assert 10 < len(with_foreground) < 30
    for sample in with_foreground:
        disc = sample.relevance & (sample.annotation == 0)
        assert disc.any()
        assert (sample.image[0][disc] == 0.5).all()


def test_test_items_are_not_among_the_training_items():
    train, test = read_glyphs("digits", "train"), read_glyphs("digits", "test")
    assert sorted(train) == sorted(test) == list(range(10))
    known = {image.tobytes() for images in train.values() for image in images}
    assert sum(len(images) for images in (*train.values(), *test.values())) == 1797
    fresh = [image for images in test.values() for image in images if image.tobytes() in known]
    assert not fresh


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_shipped_digits_are_those_of_scikit_learn(split):
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    in_split = (np.arange(len(digits.target)) % 5 == 0) == (split == "test")
    images = (digits.images[in_split] / 16).astype(np.float32)
    shipped = read_glyphs("digits", split)
    assert sorted(shipped) == list(range(10))
    for class_, glyphs in shipped.items():
        wanted = images[digits.target[in_split] == class_]
        assert (glyphs.dtype, glyphs.shape) == (wanted.dtype, wanted.shape)
        assert glyphs.tobytes() == wanted.tobytes()


def _fashion_mnist(folder, packed):
    rng = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        images = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
        for name, array in (
            ("images-idx3-ubyte", images),
            ("labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 4),
        ):
            content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            content += array.tobytes()
            if packed:
                (folder / f"{prefix}-{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / f"{prefix}-{name}").write_bytes(content)


@pytest.mark.parametrize("packed", [False, True])
def test_fashion_mnist_files(tmp_path, packed):
    _fashion_mnist(tmp_path, packed)
    glyphs = read_glyphs(tmp_path, "test")
    assert {k: images.shape for k, images in glyphs.items()} == dict.fromkeys(range(4), (5, 28, 28))
    assert TriangleDataset(1, glyphs=tmp_path)[0].annotation.any()


def test_bad_glyphs(tmp_path):
    with pytest.raises(misure.InputError, match="expected split 'train' or 'test', got 'val'"):
        read_glyphs("digits", "val")
    with pytest.raises(misure.MissingDataError, match="Put the four Fashion-MNIST files of"):
        read_glyphs(tmp_path, "train")
    _fashion_mnist(tmp_path, packed=False)
    images = tmp_path / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for broken in (whole[:100], b"", b"text, not numbers", whole[:8]):
        images.write_bytes(broken)
        with pytest.raises(misure.InputError, match="to be an IDX file"):
            read_glyphs(tmp_path, "train")
    images.write_bytes(whole)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 3) + b"\0\0\0")
    with pytest.raises(misure.InputError, match="as many labels as images"):
        read_glyphs(tmp_path, "train")


def test_too_small_a_canvas(monkeypatch):
    monkeypatch.setattr("misure.datasets.triangle.dataset._TRIES", 100)  # gives up sooner
    with pytest.raises(misure.InputError, match="expected num_triangles of 1 or more, got 0"):
        open_dataset("triangle:1,triangles=0")
    with pytest.raises(misure.InputError, match="expected side_px between"):
        TriangleDataset(1, size_px=32, side_px=30)
    with pytest.raises(misure.InputError, match="found no room for 1 triangles, 9 decoy pairs"):
        TriangleDataset(1, num_decoy_pairs=9)[0]
    with pytest.raises(IndexError):
        TriangleDataset(1)[1]


def test_one_word_opens_a_data_set_whose_keys_are_known_before_its_samples():
    dataset = open_dataset("triangle:4")
    assert [dataset[i].key for i in range(4)] == list(dataset.keys)
    assert torch.equal(dataset[2].image, TriangleDataset(4)[2].image)
    assert dataset[2].point == dataset[2].corners[0]
    assert len(open_dataset("triangle").keys) == 30
    with_disc = open_dataset("triangle-disc:3")
    assert len(with_disc.keys) == 3
    for i in range(3):
        sample = with_disc[i]
        assert int(sample.relevance.sum()) > int((sample.annotation == 1).sum())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            "square",
            "a folder of images or a text file with their paths, got 'square'",
        ),
        ("triangle:x", "or options as in triangle:30,side=24 .* got 'x'"),
        ("triangle:side=x", "got 'side=x'"),
        ("triangle:3,colour=2", "got 'colour=2'"),
        ("triangle-disc:0", "got '0'"),
    ],
)
def test_a_word_that_opens_nothing_is_an_error(spec, words):
    with pytest.raises(misure.InputError, match=words):
        open_dataset(spec)


def test_image_files_are_read_when_asked_for(tmp_path):
    path, missing = tmp_path / "a.png", tmp_path / "missing.png"
    Image.new("RGB", (6, 4), (255, 0, 0)).save(path)
    files = ImageFiles([path, missing], reading=Reading(1))
    assert files.keys == [str(path), str(missing)]
    assert len(files) == 2
    assert files[0].image.shape == (1, 4, 6)
    assert files[0].annotation is files[0].relevance is files[0].point is None
    with pytest.raises(misure.InputError, match=r"missing\.png"):
        files[1]
    with pytest.raises(misure.InputError, match="paths of different images, got none"):
        ImageFiles([])
    with pytest.raises(misure.InputError, match=r"got .*a\.png twice"):
        ImageFiles([path, path])
    with pytest.raises(misure.InputError, match="different images, got .* twice"):
        ImageFiles([path, path.parent / "elsewhere" / ".." / path.name])
    link = path.with_name(f"link-{path.name}")
    link.symlink_to(path)  # as tools that keep data by their content do
    assert len(ImageFiles([path, link])) == 2


def test_samples_in_memory_are_a_data_set():
    samples = SampleList([TriangleDataset(2)[1], TriangleDataset(2)[0]])
    assert samples.keys == ["triangle-test-0-1", "triangle-test-0-0"]


def test_of_two_triangles_one_is_known_to_matter():
    dataset = open_dataset("triangle-two:3")
    for i in range(3):
        sample = dataset[i]
        assert sample.image.shape == (1, 128, 128)
        assert len(sample.corners) == 3
        assert not (sample.relevance & (sample.annotation == 0)).any()
        share = int(sample.relevance.sum()) / int(sample.annotation.sum())
        assert 0.3 < share < 0.7
        assert _side_lengths(sample) == pytest.approx(32, abs=6)
        assert all(sample.relevance[corner] for corner in sample.corners)


def test_a_data_set_is_told_from_what_only_looks_like_one():
    sample = Sample("a", torch.zeros(1, 4, 4))
    dataset = TriangleDataset(2)
    assert as_dataset(dataset) is dataset
    for samples in ([sample], (sample,), iter([sample])):
        assert as_dataset(samples).keys == ["a"]
    expected = "expected a data set .keys, and samples by number. or a list of Sample, got"
    for other, words in (
        ({"a": sample}, "dict."), (sample, "Sample."), (3, "int."), ("triangle", "str in it."),
        ([sample, "b"], "str in it."),
    ):  # fmt: skip
        with pytest.raises(misure.InputError, match=f"{expected} {words}"):
            as_dataset(other)
    with pytest.raises(misure.InputError, match="different keys, got 'a' twice"):
        as_dataset([sample, sample])


def test_what_is_left_out_of_a_folder_is_counted(tmp_path):
    for name in ("a.png", "b.JFIF", "c.gif", "d.ppm"):
        kind = "JPEG" if name == "b.JFIF" else None
        Image.new("L", (3, 3), 50).save(tmp_path / name, kind)
    for name in ("notes.txt", "Thumbs.db", ".hidden.dcm"):
        (tmp_path / name).touch()
    assert open_dataset(str(tmp_path)).keys == ["a.png", "b.JFIF", "c.gif", "d.ppm"]
    for name in ("e.mgz", "f.MGZ", "g.heic", "h"):
        (tmp_path / name).touch()
    with pytest.warns(MisureWarning, match="1 .heic, 2 .mgz, 1 without ending; 4 are taken"):
        open_dataset(str(tmp_path))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/a.mgz").touch()
    with pytest.raises(misure.InputError, match="found none but 1 .mgz"):
        open_dataset(str(tmp_path / "empty"))


def test_data_sets_name_the_files_of_their_samples(tmp_path):
    Image.new("L", (3, 3), 50).save(tmp_path / "a.png")
    images = open_dataset(str(tmp_path))
    corrupted = open_dataset(f"corrupted:noise=0.1,{tmp_path}")
    assert files_of(images, 0) == files_of(corrupted, 0) == [tmp_path / "a.png"]
    assert files_of(open_dataset("triangle:2"), 0) == []


def test_a_slice_of_pictures_is_refused():
    with pytest.raises(misure.InputError, match="no --slice for a data set of pictures"):
        open_dataset("triangle:2", Reading(slice_index=1))
