"""Bundles: complete or absent, the same for the same inputs, never altered unseen."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ratchet.errors import ConflictError, DataError, RatchetError, StorageError
from ratchet.packaging import bundle as bundles
from ratchet.packaging.bundle import MANIFEST, read_manifest, verify_bundle, write_bundle
from unit.packaging.packaging_models import blend_of, bundle_of, content_of, export, train

MODEL = "model.linear.json"
NAMES = [
    "card.md",
    "composition.json",
    "decision.json",
    "input_example.json",
    "metadata.json",
    "metrics.json",
    MODEL,
    "recipe.json",
    "requirements.txt",
    "signature.json",
]


@pytest.fixture
def content(tmp_path):
    trained = train("logistic_regression")
    return content_of(trained, export(blend_of(trained), tmp_path))


def test_a_bundle_holds_its_files_and_their_digests(tmp_path, content):
    bundle = write_bundle(tmp_path / "made", content)
    assert sorted(path.name for path in bundle.path.iterdir()) == sorted([*NAMES, MANIFEST])
    assert list(bundle.files) == NAMES
    assert bundle.size == sum((bundle.path / name).stat().st_size for name in NAMES)
    assert verify_bundle(bundle.path) == bundle
    manifest = json.loads((bundle.path / MANIFEST).read_text())
    assert manifest["digest"] == bundle.digest
    assert len(bundle.digest) == 64


def test_the_same_content_gives_the_same_bytes_anywhere(tmp_path, content, monkeypatch):
    one = write_bundle(tmp_path / "one", content)
    monkeypatch.chdir(tmp_path)
    two = bundle_of(train("logistic_regression"), tmp_path / "deep" / "er")
    assert one.digest == two.digest
    for name in [*NAMES, MANIFEST]:
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_nothing_of_the_machine_or_the_day_is_inside(tmp_path, content):
    bundle = write_bundle(tmp_path / "made", content)
    text = b"".join((bundle.path / name).read_bytes() for name in NAMES)
    for trace in (str(tmp_path), str(Path.home()), os.uname().nodename):
        assert trace.encode() not in text


@pytest.mark.parametrize(
    "change",
    [
        {"card": "# another\n"},
        {"metrics": {"roc_auc": {"value": 0.81}}},
        {"requirements": ("numpy==1.0.0",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_content_has_another_digest(tmp_path, content, change):
    one = write_bundle(tmp_path / "one", content)
    two = write_bundle(tmp_path / "two", replace(content, **change))
    assert one.digest != two.digest


@pytest.mark.parametrize("name", NAMES)
def test_an_altered_file_is_named(tmp_path, content, name):
    bundle = write_bundle(tmp_path / "made", content)
    path = bundle.path / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DataError) as caught:
        verify_bundle(bundle.path)
    assert name in caught.value.what
    assert caught.value.where.endswith(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path, content, name):
    bundle = write_bundle(tmp_path / "made", content)
    (bundle.path / name).unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        verify_bundle(bundle.path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": 1, "digest": "0", "files": {}}', "\x00\xff"],
)
def test_a_broken_manifest_is_refused(tmp_path, content, text):
    bundle = write_bundle(tmp_path / "made", content)
    (bundle.path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="MANIFEST"):
        read_manifest(bundle.path)


def test_a_manifest_edited_to_fit_an_altered_file_is_refused(tmp_path, content):
    bundle = write_bundle(tmp_path / "made", content)
    manifest = json.loads((bundle.path / MANIFEST).read_text())
    manifest["files"]["card.md"]["sha256"] = "0" * 64
    (bundle.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="MANIFEST"):
        verify_bundle(bundle.path)


def test_a_manifest_cannot_point_outside(tmp_path, content):
    bundle = write_bundle(tmp_path / "made", content)
    manifest = json.loads((bundle.path / MANIFEST).read_text())
    manifest["files"]["../secret"] = manifest["files"].pop("card.md")
    entries = {n: bundles.FileEntry(**entry) for n, entry in manifest["files"].items()}
    manifest["digest"] = bundles._digest(entries)
    (bundle.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="MANIFEST"):
        read_manifest(bundle.path)


def test_a_later_format_is_refused(tmp_path, content):
    bundle = write_bundle(tmp_path / "made", content)
    manifest = json.loads((bundle.path / MANIFEST).read_text())
    (bundle.path / MANIFEST).write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(DataError, match="99"):
        read_manifest(bundle.path)


def test_a_folder_without_manifest_is_no_bundle(tmp_path):
    for path in (tmp_path, tmp_path / "not there"):
        with pytest.raises(DataError) as caught:
            read_manifest(path)
        assert caught.value.name == "not_a_bundle"


def test_writing_again_changes_nothing(tmp_path, content):
    one = write_bundle(tmp_path / "made", content)
    before = {path.name: path.stat().st_mtime_ns for path in one.path.iterdir()}
    assert write_bundle(tmp_path / "made", content) == one
    assert {path.name: path.stat().st_mtime_ns for path in one.path.iterdir()} == before


def test_something_else_is_never_overwritten(tmp_path, content):
    one = write_bundle(tmp_path / "made", content)
    with pytest.raises(ConflictError):
        write_bundle(tmp_path / "made", replace(content, card="# another\n"))
    assert verify_bundle(one.path) == one
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConflictError):
        write_bundle(tmp_path / "folder", content)


def test_a_failure_half_way_leaves_nothing(tmp_path, content, monkeypatch):
    written = []
    real = bundles._write

    def full_disk(path, raw):
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        written.append(path)
        real(path, raw)

    monkeypatch.setattr(bundles, "_write", full_disk)
    with pytest.raises(StorageError, match="No space left"):
        write_bundle(tmp_path / "here" / "made", content)
    assert len(written) == 4
    assert list((tmp_path / "here").iterdir()) == []


def test_what_a_killed_writer_left_is_no_obstacle(tmp_path, content):
    left = tmp_path / ".made.partial"
    left.mkdir()
    (left / MODEL).write_bytes(b"half")
    write_bundle(tmp_path / "made", content)
    assert not left.exists()


def test_numbers_json_cannot_hold_are_refused(tmp_path, content):
    for value in (float("nan"), {1, 2}):
        with pytest.raises(RatchetError, match=r"metrics\.json"):
            write_bundle(tmp_path / "made", replace(content, metrics={"roc_auc": value}))
    assert not (tmp_path / "made").exists()


def test_the_parts_say_what_the_model_is(tmp_path, content):
    path = write_bundle(tmp_path / "made", content).path

    def read(name):
        return json.loads((path / name).read_text())

    assert read("decision.json") == {
        "task": {"kind": "binary", "classes": ["no", "yes"]},
        "threshold": 0.5,
        "objective": "",
        "interval": None,
    }
    assert read("composition.json") == {
        "members": [
            {
                "name": "logistic_regression",
                "algorithm": "logistic_regression",
                "kind": "numpy",
                "file": MODEL,
                "recipe": "recipe.json",
                "weight": 1.0,
            }
        ],
        "calibration": None,
    }
    assert set(read("input_example.json")) == {
        one["name"] for one in read("signature.json")["inputs"]
    }
    names = [line.split("==")[0] for line in (path / "requirements.txt").read_text().splitlines()]
    assert names == ["numpy", "ratchet-ml"]
