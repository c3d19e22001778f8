import errno

import pytest

from ratchet.errors import StorageError
from ratchet.pipeline import store
from ratchet.pipeline.step import output_digest


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_outputs_become_visible_whole_and_are_found_again(tmp_path):
    partial = store.fresh_folder(tmp_path, "train")
    write(partial, model__txt="m", _time__json="1")
    assert not (tmp_path / "train").exists()
    kept = store.keep(partial, "train", {"rows": {"train": 2, "test": 1}, "cut": (1, 2)})
    assert not partial.exists()
    assert kept.file("model.txt").read_text() == "m"
    again = store.recall("train", tmp_path / "train", kept.digest)
    assert again == kept
    # The order too: what is made of the facts must not differ between a fresh and a reused step.
    assert list(again.facts["rows"]) == list(kept.facts["rows"])
    assert kept.facts["cut"] == [1, 2]


def test_the_digest_follows_contents_and_names_but_not_volatile_files(tmp_path):
    digests = []
    for number, files in enumerate(
        [
            {"a__txt": "1", "_t": "1"},
            {"a__txt": "1", "_t": "2"},
            {"a__txt": "2"},
            {"b__txt": "1"},
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, **files)
        digests.append(output_digest(folder))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_an_altered_or_missing_output_is_not_reused(tmp_path):
    kept = store.keep(store.fresh_folder(tmp_path, "split"), "split", {"rows": 3})
    assert store.recall("split", tmp_path / "nowhere", kept.digest) is None
    (kept.folder / "facts.json").write_text('{"rows": 4}')
    assert store.recall("split", kept.folder, kept.digest) is None


def test_what_a_crash_left_is_replaced(tmp_path):
    left = tmp_path / "split"
    left.mkdir()
    write(left, old__txt="x")
    partial = store.fresh_folder(tmp_path, "split")
    write(partial, half__txt="x")
    partial = store.fresh_folder(tmp_path, "split")
    kept = store.keep(partial, "split", {})
    assert sorted(path.name for path in kept.folder.iterdir()) == ["facts.json"]


@pytest.mark.parametrize(
    ("number", "what"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "cannot be read")],
)
def test_disk_faults_are_ours(number, what):
    with pytest.raises(StorageError, match=what), store.storing():
        raise OSError(number, "told by the system", "some/file")


def test_an_atomic_file_leaves_no_trace_of_itself(tmp_path):
    store.write_atomic(tmp_path / "run.json", "{}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
