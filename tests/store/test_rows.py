"""The rows of a study's trials as a claim reads them, under the lock: what is closed is read once."""

from pathlib import Path

from sqlalchemy import insert

from hpo.store import tables
from hpo.store.books import Books
from hpo.store.reading import AT_ONCE
from hpo.store.rows import Rows
from tests.support import create, definition, open_store


def test_a_large_fleet_reads_no_closed_row_again(tmp_path: Path) -> None:
    """However many trials are open: each of them is read again, and none of the others."""
    store = open_store(tmp_path)
    create(store, definition())
    record = store.study("s")
    closed, total = 100, 100 + 2 * AT_ONCE + 1
    row = {"study_id": record.study_id, "seed": 1, "attempt": 1, "worker": "w", "leased_at": 1.0}
    trials = [
        {**row, "number": n, "artifacts": f"s/{n}", "expires_at": None, "cause": "completed", "finished_at": 2.0}
        if n < closed
        else {**row, "number": n, "artifacts": f"s/{n}", "expires_at": 9e9, "cause": None, "finished_at": None}
        for n in range(total)
    ]
    with store.rdb.engine.begin() as connection:
        connection.execute(insert(tables.trials), trials)
    rows = Rows(store, record.study_id, Books(store, record))
    rows.open()
    with store.rdb.engine.begin() as connection:
        connection.execute(tables.trials.update().values(seed=2))
        connection.execute(insert(tables.trials), {**trials[-1], "number": total})
    read = rows.open()[2]
    assert [number for number in sorted(read) if read[number]["seed"] == 1] == [*range(closed), total]
    assert len(read) == total + 1
