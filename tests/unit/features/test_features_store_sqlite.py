"""A feature store in SQLite: faults of its file, and what reading may load."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ratchet.data.schema import Column
from ratchet.errors import ConfigError, DataError, StorageError
from ratchet.features.store.open_store import open_store
from ratchet.features.store.packing import pack, unpacker
from ratchet.features.store.port import FeatureRow, FeatureSchema
from ratchet.features.store.sqlite import SqliteStore

SCHEMA = FeatureSchema.of([Column("tenure", "integer")])


def rows(count: int, value: int = 3) -> list[FeatureRow]:
    return [FeatureRow(f"e{i}", 1, (value,)) for i in range(count)]


def test_reading_waits_for_no_writer(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "features.db", "churn")
    store.push(rows(3), SCHEMA)
    other = sqlite3.connect(tmp_path / "features.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("DELETE FROM feature_rows")
    assert store.read(["e1"], SCHEMA)[0] is not None
    other.execute("COMMIT")
    other.close()
    assert store.read(["e1"], SCHEMA) == [None]
    store.close()


def test_a_removed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "features.db"
    reader, writer = SqliteStore(path, "churn"), SqliteStore(path, "churn")
    writer.push(rows(1), SCHEMA)
    writer.publish(SCHEMA)
    assert reader.current() == SCHEMA
    for file in tmp_path.iterdir():
        file.unlink()
    assert reader.current() is None
    again = SqliteStore(path, "churn")
    again.push(rows(1, value=9), SCHEMA)
    again.publish(SCHEMA)
    assert reader.current() == SCHEMA
    found = reader.read(["e0"], SCHEMA)[0]
    assert found is not None
    assert found.values["tenure"] == 9
    for store in (reader, writer, again):
        store.close()


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "features.db"
    path.write_text("this is no database, whatever its name says\n" * 50)
    store = SqliteStore(path, "churn")
    with pytest.raises(StorageError) as caught:
        store.read(["a"], SCHEMA)
    assert caught.value.where == str(path)
    with pytest.raises(StorageError):
        store.push(rows(1), SCHEMA)
    store.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteStore(tmp_path / "file" / "features.db", "churn")
    with pytest.raises(StorageError):
        store.ping()


def test_every_thread_reads_by_its_own_connection(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "features.db", "churn")
    store.push(rows(1), SCHEMA)
    seen: list[int] = []

    def read() -> None:
        store.read(["e0"], SCHEMA)
        seen.append(id(store._local.reader))
        barrier.wait()

    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 3
    store.close()


def test_other_addresses_are_refused() -> None:
    with pytest.raises(ConfigError, match="neither SQLite nor Redis"):
        open_store("postgresql://host/db", "churn")
    with pytest.raises(ConfigError):
        open_store("features.db", "churn")


@pytest.mark.parametrize("packed", [b"", b"\xc1", pack([1, 2]), pack([]), b"\x81\x01\x02"])
def test_damaged_rows_are_told(packed: bytes) -> None:
    with pytest.raises(DataError, match="damaged"):
        unpacker(SCHEMA)(packed, 0)


def test_reading_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from ratchet.features.store.open_store import open_store\n"
        "import ratchet.serving.lookup\n"
        f"open_store({f'sqlite:///{tmp_path}/features.db'!r}, 'churn').current()\n"
        "heavy = ('polars', 'numpy', 'pandas', 'sklearn', 'redis', 'mlflow', 'deltalake')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
