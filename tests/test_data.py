"""Reading data sets: folders, parquet files, damaged and missing pictures, augmentation."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from training.data import augment, batches, load


def png(level: int, size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (level, 0, 255 - level)).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(path, rows, names=("cat", "dog")):
    features = {"img": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(names)}}
    pictures = [{"bytes": data, "path": None} for data, _ in rows]
    table = pa.table({"img": pictures, "label": [label for _, label in rows]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "train" / name).mkdir(parents=True)
        for index in range(3):
            (tmp_path / "train" / name / f"{index}.png").write_bytes(png(100 * label + index))
    return tmp_path


def test_class_folders(folder):
    data = load(folder, "train", 8)
    assert data.classes == ["cat", "dog"]
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    x, y = data[torch.tensor([4])]
    assert x.shape == (1, 3, 8, 8) and y.item() == 1
    assert x[0, :, 0, 0].tolist() == pytest.approx([101 / 255, 0, 154 / 255])


def test_parquet_shards_in_order(tmp_path):
    write_parquet(tmp_path / "train-00000-of-00002.parquet", [(png(10), 0), (png(20), 1)])
    write_parquet(tmp_path / "train-00001-of-00002.parquet", [(png(30), 0)])
    write_parquet(tmp_path / "test-00000-of-00001.parquet", [(png(40), 1), (png(41), 0)])
    data = load(tmp_path, "train", 8)
    assert data.classes == ["cat", "dog"] and data.labels.tolist() == [0, 1, 0]
    assert data.pictures[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert load(tmp_path, "test", 8).labels.tolist() == [1, 0]


def test_subset_of_a_larger_data_set_keeps_its_own_classes(tmp_path):
    write_parquet(tmp_path / "train-0.parquet", [(png(1), 1), (png(2), 4)], names="abcdefg")
    data = load(tmp_path, "train", 8)
    assert data.classes == ["b", "e"] and data.labels.tolist() == [0, 1]


def test_classes_get_their_readable_names(folder):
    (folder / "classes.json").write_text(json.dumps({"names": {"cat": "tabby", "cow": "ox"}}))
    assert load(folder, "train", 8).classes == ["tabby", "dog"]
    for damaged in ("{", "[]", "{}", '{"names": 3}'):
        (folder / "classes.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"^data: expected readable names of the classes in "):
            load(folder, "train", 8)


def test_other_sizes_are_cropped_and_resized(folder):
    (folder / "train" / "cat" / "wide.png").write_bytes(png(7, size=20))
    assert load(folder, "train", 8).pictures.shape == (7, 3, 8, 8)


def test_unreadable_pictures_are_named_and_skipped(folder, capsys):
    (folder / "train" / "dog" / "broken.png").write_bytes(png(5)[:40])
    data = load(folder, "train", 8)
    assert len(data) == 6
    assert [name for name in data.skipped if "broken.png" in name]
    assert "broken.png" in capsys.readouterr().err


def test_a_missing_class_is_refused(folder):
    for path in (folder / "train" / "dog").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"^data: expected pictures of every class .* none of dog$"):
        load(folder, "train", 8)


def test_a_missing_split_is_refused(folder):
    with pytest.raises(ValueError, match="^data: expected"):
        load(folder, "test", 8)


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="^data: expected a folder or a Hub data set"):
        load("no/such/place", "train", 8)


def test_batches_cover_an_epoch_once_and_depend_on_it(folder):
    data = load(folder, "train", 8)
    first = batches(data, 2, epoch=0, seed=0)
    assert first.shape == (3, 2) and sorted(first.flatten().tolist()) == list(range(6))
    assert torch.equal(first, batches(data, 2, epoch=0, seed=0))
    assert not torch.equal(first, batches(data, 2, epoch=1, seed=0))


def test_augment_crops_and_mirrors():
    x = torch.from_numpy(np.random.default_rng(0).random((40, 3, 8, 8), dtype=np.float32))
    moved = augment(x, torch.Generator().manual_seed(0), padding=2)
    assert moved.shape == x.shape
    padded = torch.nn.functional.pad(x, [2] * 4, mode="reflect")
    mirrored = 0
    for before, after in zip(padded, moved, strict=True):
        windows = [before[:, i : i + 8, j : j + 8] for i in range(5) for j in range(5)]
        plain = any(torch.equal(after, window) for window in windows)
        flipped = any(torch.equal(after, window.flip(2)) for window in windows)
        assert plain or flipped
        mirrored += flipped
    assert 8 < mirrored < 32
    assert torch.equal(augment(x, torch.Generator().manual_seed(0), padding=0).sort(-1)[0], x.sort(-1)[0])
