"""Reading data sets: folders, parquet files, damaged and missing pictures, augmentation."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import training
from training.config import TrainConfig
from training.data import augment, crop_resized, hold_out, load, mixed
from training.data import main as write_domains
from training.loop import batches
from training.processes import share

SUBSET = "restricted_tiny_imagenet.json"


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


def test_batches_cover_each_epoch_once_and_continue_anywhere():
    config = TrainConfig("toy", epochs=2, batch_size=3)
    every = list(batches(8, config))
    first, second = (torch.stack([batch.indices for batch in every[part]]) for part in (slice(2), slice(2, 4)))
    assert len(every) == 4 and len(set(first.flatten().tolist())) == len(set(second.flatten().tolist())) == 6
    assert not torch.equal(first, second)
    assert [batch.ends_epoch for batch in every] == [False, True, False, True]
    assert [batch.progress for batch in every] == [0, 0.25, 0.5, 0.75]
    for batch, again in zip(every[1:], batches(8, config, first=1), strict=True):
        assert torch.equal(batch.indices, again.indices)
        assert torch.rand(3, generator=batch.generator).equal(torch.rand(3, generator=again.generator))
    assert len(next(batches(2, config)).indices) == 2


def test_held_out_pictures_are_at_most_a_tenth(folder):
    data = load(folder, "train", 8)
    data = data.subset(torch.arange(6).repeat(5))
    assert [len(part) for part in hold_out(data, TrainConfig("toy"))] == [3, 27]
    assert [len(part) for part in hold_out(data, TrainConfig("toy", validation=2))] == [2, 28]


def test_resized_crops_show_enough_of_the_picture_and_a_process_sees_its_part():
    line = (torch.arange(40) + 0.5) / 40
    x = torch.stack([line.expand(40, 40), line[:, None].expand(40, 40), torch.zeros(40, 40)]).repeat(200, 1, 1, 1)
    crops = crop_resized(x, torch.Generator().manual_seed(0), 0.4, 20)
    assert crops.shape == (200, 3, 20, 20)
    width, height = (crops[:, 0].diff(dim=2).mean((1, 2)) * 20, crops[:, 1].diff(dim=1).mean((1, 2)) * 20)
    area = width.abs() * height
    assert 0.35 < area.min() < 0.5 and area.max() > 0.9 and 0.4 < (width < 0).float().mean() < 0.6
    shapes = width.abs() / height
    assert 0.7 < shapes.min() < 0.85 and 1.2 < shapes.max() < 1.4
    part = slice(1, None, 2)
    assert torch.equal(crop_resized(x[part], torch.Generator().manual_seed(0), 0.4, 20, part, 200), crops[part])


def test_mixed_pictures_show_their_neighbours_and_targets_tell_how_much_of_each():
    shades = torch.arange(41) / 41
    x, one_hot = shades[:, None, None, None].expand(41, 3, 10, 10), torch.eye(41)
    pictures, targets = mixed(x, one_hot, torch.Generator().manual_seed(0), 0.75)
    assert pictures.mean((1, 2, 3)).numpy() == pytest.approx((targets @ shades).numpy(), abs=1e-5)
    assert targets.sum(1).numpy() == pytest.approx(1)
    own = targets.diagonal()
    assert 5 < (own == 1).sum() < 18 and own[:40].min() < 0.5 and own[40] == 1
    assert all(set(row.nonzero().flatten().tolist()) <= {i, i ^ 1} for i, row in enumerate(targets[:40]))
    assert torch.equal(mixed(x, one_hot, torch.Generator().manual_seed(0), 0)[0], x)
    part = share(41, 1, 3)
    again = mixed(x[part], one_hot[part], torch.Generator().manual_seed(0), 0.75, part, 41)
    assert torch.equal(again[0], pictures[part]) and torch.equal(again[1], targets[part])


def test_processes_share_a_batch_in_pairs_that_stay_together():
    for count in (1, 2, 7, 128):
        parts = [list(range(count))[share(count, process, 3)] for process in range(3)]
        assert [one for part in parts for one in part] == list(range(count)) and all(
            part[0] % 2 == 0 for part in parts if part
        )


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


@pytest.fixture
def domains(tmp_path):
    for split in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / split).mkdir()
        for index in range(5):
            (tmp_path / split / f"{index}.png").write_bytes(png(100 * split.endswith("B") + index))
    return tmp_path


def test_two_domains_as_folders(domains):
    for split in ("train", "test"):
        data = load(domains, split, 8)
        assert data.classes == ["A", "B"] and data.labels.tolist() == [0] * 5 + [1] * 5
    (domains / "classes.json").write_text(json.dumps({"names": {"A": "lion", "B": "cougar"}}))
    assert load(domains, "train", 8).classes == ["lion", "cougar"]


def test_two_domains_as_columns_take_each_picture_once(tmp_path):
    features = {"imageA": {"_type": "Image"}, "imageB": {"_type": "Image"}}
    column = {"imageA": [png(1), png(2), png(1)], "imageB": [png(7), png(8), png(9)]}
    table = pa.table({name: [{"bytes": data, "path": None} for data in some] for name, some in column.items()})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "train-00000-of-00001.parquet")
    data = load(tmp_path, "train", 8)
    assert data.classes == ["A", "B"] and sorted(data.labels.tolist()) == [0, 0, 1, 1, 1]


def test_an_empty_domain_and_an_unreadable_one_are_refused(domains, capsys):
    for path in (domains / "trainB").iterdir():
        path.write_text("no picture")
    with pytest.raises(ValueError, match=r"got none of B \(5 files cannot be read, such as trainB.*0.png\)"):
        load(domains, "train", 8)
    for path in (domains / "trainB").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="expected pictures of every class in .*, got none of B$"):
        load(domains, "train", 8)
    (domains / "trainB").rmdir()
    with pytest.raises(ValueError, match="or folders trainA and trainB in"):
        load(domains, "train", 8)


def test_superclasses_keep_to_the_classes_that_are_there(folder):
    names = {"names": {"cat": "tabby", "dog": "poodle"}, "superclasses": {"pet": ["cat", "dog"], "fish": ["shark"]}}
    (folder / "classes.json").write_text(json.dumps(names))
    data = load(folder, "train", 8)
    assert data.classes == ["tabby", "poodle"] and data.groups == {"pet": ["tabby", "poodle"]}
    assert data.subset(data.labels == 1).groups == data.groups


def test_a_subset_keeps_its_classes_of_a_larger_data_set(tmp_path, folder):
    kept = list(json.loads(Path(training.__file__).with_name(SUBSET).read_text())["names"])
    names = sorted([*kept, *(f"n{index:08}" for index in range(90))])
    rows = [(png(index % 200), index) for index in range(len(names))]
    write_parquet(tmp_path / "valid-00000-of-00001.parquet", rows, names)
    assert len(load(tmp_path, "test", 8).classes) == 148
    data = load(tmp_path, "test", 8, SUBSET)
    assert len(data) == len(data.classes) == 58 and "golden retriever" in data.groups["dog"]
    assert load(folder, "train", 8, SUBSET).classes == ["cat", "dog"]


def test_two_classes_are_written_as_domains(folder, tmp_path, capsys):
    (folder / "test" / "cat").mkdir(parents=True)
    (folder / "test" / "dog").mkdir()
    for name in ("cat", "dog"):
        (folder / "test" / name / "0.png").write_bytes(png(3))
    write_domains([str(folder), "--classes", "dog", "cat", "--size", "8", "--output", str(tmp_path / "out")])
    data, original = load(tmp_path / "out", "train", 8), load(folder, "train", 8)
    assert torch.equal(data.pictures[:3], original.pictures[3:]) and len(load(tmp_path / "out", "test", 8)) == 2
    with pytest.raises(SystemExit):
        write_domains([str(folder), "--classes", "dog", "wolf", "--output", str(tmp_path / "out")])
    assert "classes: expected classes of" in capsys.readouterr().err
