"""What the disk and the network do to a ledger becomes an error with a way out."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text

from ratchet.errors import StorageError, UnreachableError
from ratchet.ledger.database import _fault_of, faults
from ratchet.ledger.store import Ledger, open_ledger


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_no_ledger_yet(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no ledger") as caught:
        open_ledger(url_of(tmp_path / "state" / "ledger.db"), project="p", create=False)
    assert (caught.value.name, caught.value.exit_code) == ("no_ledger", 2)
    assert not (tmp_path / "state").exists()


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "what? 100% #1 é" / "ledger.db"
    with open_ledger(url_of(path), project="p") as ledger:
        ledger.record("counted", {})
    assert path.is_file()
    with open_ledger(url_of(path), project="p", create=False) as ledger:
        assert len(ledger.events()) == 1


def not_a_database(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 100)


def damaged(path: Path) -> None:
    open_ledger(url_of(path), project="p").close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [not_a_database, damaged, a_folder])
def test_a_file_that_is_no_ledger(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "ledger.db"
    spoil(path)
    with pytest.raises(StorageError) as caught, open_ledger(url_of(path), project="p") as ledger:
        ledger.record("counted", {})
    fault = caught.value.to_json()
    assert fault["why"]
    assert fault["fix"]
    assert str(path) in fault["what"]
    assert caught.value.__cause__ is None


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError):
        open_ledger(url_of(tmp_path / "state" / "ledger.db"), project="p")


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    with open_ledger(url_of(tmp_path / "ledger.db"), project="p") as ledger:
        ledger.start_run("r1", trigger="manual")
        with ledger.database.read() as connection:
            pages = connection.scalar(text("PRAGMA page_count"))
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(StorageError, match="disk is full"):
            ledger.finish_run("r1", "failed", "x" * 1_000_000)
        assert ledger.get_run("r1").status == "running"
        assert ledger.verify_chain().intact


def test_a_locked_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(url_of(path), project="p", busy_seconds=0.05) as ledger:
        ledger.record("counted", {})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match="keeps it locked"):
                ledger.record("counted", {})
            assert len(ledger.events()) == 1, "reading goes on"
        ledger.record("counted", {})


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user who may only do what the permissions say; root may do anything."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass through, which pytest's own are not."""
    with TemporaryDirectory(prefix="ratchet-ledger-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def said_when_writing(path: Path) -> str:
    with pytest.raises(StorageError) as caught, unprivileged():
        open_and_write(path)
    return str(caught.value)


def open_and_write(path: Path) -> None:
    with open_ledger(url_of(path), project="p") as ledger:
        ledger.record("counted", {})


def test_a_read_only_folder(open_folder: Path) -> None:
    folder = open_folder / "locked"
    folder.mkdir()
    open_and_write(open_folder / "warm-up.db")
    folder.chmod(0o555)
    assert "read and write there" in said_when_writing(folder / "ledger.db")
    assert "Permission denied" in said_when_writing(folder / "state" / "ledger.db")
    assert list(folder.iterdir()) == []
    folder.chmod(0o755)


def test_a_read_only_file(open_folder: Path) -> None:
    path = open_folder / "ledger.db"
    open_and_write(path)
    open_folder.chmod(0o777)
    path.chmod(0o444)
    assert "read-only" in said_when_writing(path)


# PostgreSQL


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_postgresql_is_down() -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql://anna:hush-hush@127.0.0.1:{free_port()}/ratchet"
    with pytest.raises(UnreachableError) as caught:
        open_ledger(url, project="p")
    assert "refused" in caught.value.why
    assert "hush" not in str(caught.value.to_json())
    assert "anna@127.0.0.1" in caught.value.what
    assert caught.value.__suppress_context__


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    pytest.importorskip("psycopg")
    from postgres_server import start_postgres

    with TemporaryDirectory(prefix="ratchet-postgres-") as folder:
        server = start_postgres(Path(folder))
        yield server.url
        server.stop()


def test_postgresql_refuses_a_password(server_url: str) -> None:
    from sqlalchemy.engine import make_url

    wrong = make_url(server_url).set(password="hush-hush")
    with pytest.raises(UnreachableError, match="password") as caught:
        open_ledger(wrong.render_as_string(hide_password=False), project="p")
    assert "hush" not in str(caught.value.to_json())
    assert "storage.ledger" in caught.value.fix


def test_postgresql_has_no_such_database(server_url: str) -> None:
    with pytest.raises(UnreachableError, match="does not exist") as caught:
        open_ledger(server_url.rpartition("/")[0] + "/nowhere", project="p")
    assert "createdb" in caught.value.fix


def test_postgresql_goes_away_and_comes_back(server_url: str) -> None:
    with open_ledger(server_url, project="p") as ledger:
        ledger.record("counted", {})
        with open_ledger(server_url, project="other") as other, other.database.read() as connection:
            kill = text(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'ratchet' and pid <> pg_backend_pid()"
            )
            connection.execute(kill)
        ledger.record("counted", {})
        assert ledger.verify_chain().events == 2


def append_and_cut(ledger: Ledger) -> None:
    with ledger._write() as tx:
        tx.append("counted", {})
        tx.connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))


def test_a_connection_cut_inside_a_transaction_keeps_nothing_of_it(server_url: str) -> None:
    with open_ledger(server_url, project="cut") as ledger:
        ledger.record("counted", {})
        with pytest.raises(UnreachableError):
            append_and_cut(ledger)
        assert ledger.verify_chain().events == 1


def test_the_original_fault_is_cut_off() -> None:
    from sqlalchemy.exc import OperationalError

    driver = sqlite3.OperationalError("secret detail")
    raised = OperationalError("select 'hush'", {"password": "hush"}, driver)
    with pytest.raises(Exception, match="refused a statement") as caught, faults("here"):
        raise raised
    assert caught.value.__cause__ is None
    assert "hush" not in str(caught.value)
    assert _fault_of(raised, "here").where == "here"
