"""The tables' versions: made step by step, upgraded once by whoever comes first, refused where they are not known."""

import json
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

from hpo.errors import StorageError
from hpo.settings import Times
from hpo.space import to_json as space_to_json
from hpo.store import Claims, Store, migrations, tables
from hpo.store.connect import quiet_optuna
from hpo.study import to_json
from tests.cli.run import call
from tests.store.conftest import Clock
from tests.support import SPACES, claimed, completed, create, definition, open_store, record, work_off

# What hpo 0.1.0 left: tables made at once, and a number for their version.
FIRST_RELEASE = """
CREATE TABLE hpo_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO hpo_schema VALUES (1);
CREATE TABLE hpo_studies (
    study_id INTEGER NOT NULL, name VARCHAR(64) NOT NULL, definition TEXT NOT NULL, digest VARCHAR(64) NOT NULL,
    spaces JSON NOT NULL, data JSON NOT NULL, versions JSON NOT NULL, created_at DOUBLE NOT NULL,
    stop_requested BOOLEAN NOT NULL, failures_since DOUBLE NOT NULL, clock_at DOUBLE NOT NULL,
    worked_seconds DOUBLE NOT NULL, slot_seconds DOUBLE NOT NULL,
    PRIMARY KEY (study_id), UNIQUE (name)
);
CREATE TABLE hpo_trials (
    study_id INTEGER NOT NULL, number INTEGER NOT NULL, seed INTEGER NOT NULL, attempt INTEGER NOT NULL,
    losses INTEGER NOT NULL, worker VARCHAR(64), leased_at DOUBLE, expires_at DOUBLE,
    outcome JSON, cause VARCHAR(32), finished_at DOUBLE, artifacts TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
);
CREATE INDEX ix_hpo_trials_expires_at ON hpo_trials (expires_at);
CREATE TABLE hpo_workers (
    worker VARCHAR(64) NOT NULL, study_id INTEGER NOT NULL, host VARCHAR(255) NOT NULL, pid INTEGER NOT NULL,
    slots INTEGER NOT NULL, lease DOUBLE NOT NULL, started_at DOUBLE NOT NULL,
    seen_at DOUBLE NOT NULL, left_at DOUBLE, PRIMARY KEY (worker)
);
CREATE INDEX ix_hpo_workers_study_id ON hpo_workers (study_id);
"""


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    """Plain access to an empty database of each kind."""
    engine = create_engine(address)
    yield engine
    engine.dispose()


def run(engine: Engine, statements: str) -> None:
    """SQL, statement by statement."""
    with engine.begin() as connection:
        for statement in filter(str.strip, statements.split(";")):
            connection.execute(text(statement))


def first_release(engine: Engine, address: str, *, lease_ends: float = 0.0) -> None:
    """A database as hpo 0.1.0 left it: a study of two trials, the first ended, the second with a worker."""
    study = definition(budget={"trials": 2})
    storage = optuna.storages.RDBStorage(address)
    run(engine, FIRST_RELEASE.replace("DOUBLE", "DOUBLE PRECISION") if "postgresql" in address else FIRST_RELEASE)
    with quiet_optuna():
        made = optuna.create_study(study_name=study.name, storage=storage, direction="maximize")
    for value in (0.75, None):
        trial = made.ask({"learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)})
        if value is not None:
            made.tell(trial, value)
    storage.remove_session()
    storage.engine.dispose()
    row = {
        "definition": to_json(study),
        "spaces": json.dumps({family: space_to_json(space) for family, space in SPACES.items()}),
        "data": record().model_dump_json(),
        "outcome": completed(0.75).model_dump_json(),
        "ends": lease_ends,
        "versions": '{"hpo": "0.1.0"}',
    }
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into hpo_studies values "
                "(1, 's', :definition, 'd', :spaces, :data, :versions, 1.0, false, 1.0, 1.0, 0.0, 0.0)"
            ),
            row,
        )
        connection.execute(
            text("insert into hpo_trials values (1, 0, 7, 1, 0, 'w', 1.0, null, :outcome, 'completed', 2.0, 's/0')"),
            row,
        )
        connection.execute(
            text("insert into hpo_trials values (1, 1, 8, 1, 0, 'w', 2.0, :ends, null, null, null, 's/1')"), row
        )


def differences(engine: Engine) -> list[object]:
    """What alembic would change to bring the database to what tables.py says."""
    ours = set(tables.metadata.tables)
    options = {
        "version_table": tables.schema.name,
        "compare_type": True,
        "include_name": lambda name, kind, _: kind != "table" or name in ours,
    }
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata))


def test_the_steps_lead_to_the_tables(address: str, engine: Engine) -> None:
    """A database that took every step has exactly the tables, columns, types and indexes that tables.py says."""
    open_store(address)
    assert differences(engine) == []
    run(engine, "drop index ix_hpo_trials_expires_at")
    assert differences(engine) != []


def test_there_is_one_last_step() -> None:
    """Steps form one line, and tables.py names its end."""
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_heads() == [tables.REVISION]
    numbers = [step.revision for step in script.walk_revisions()][::-1]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_the_first_release_is_upgraded(address: str, engine: Engine, clock: Clock) -> None:
    """A study of hpo 0.1.0 keeps its trials, and goes on where it stopped."""
    first_release(engine, address)
    with pytest.raises(
        StorageError, match=f"has schema 0000, this hpo needs {tables.REVISION}; `hpo migrate` upgrades"
    ):
        Store(address)
    assert call("migrate", "--storage", address).code == 0
    assert differences(engine) == []
    store = open_store(address, clock)
    assert (store.trial("s", 0).value, store.trial("s", 0).outcome) == (0.75, completed(0.75))
    assert work_off(Claims(store, "s", "a", Times())) == [1]
    assert store.trial("s", 1).attempt == 2


def test_nothing_is_upgraded_under_a_worker(address: str, engine: Engine) -> None:
    """While a lease is live the tables stay as they are, exit code 4; the message names who holds it."""
    first_release(engine, address, lease_ends=4e9)
    with pytest.raises(StorageError, match=r"workers hold leases: w \(study s, trial 1\)\. `hpo stop NAME`") as caught:
        open_store(address)
    assert caught.value.exit_code == 4
    with engine.connect() as connection:
        assert connection.execute(text("select version from hpo_schema")).scalar_one() == 1
    run(engine, "update hpo_trials set expires_at = 5.0")
    open_store(address)


def test_a_database_that_is_up_to_date_is_left_alone(address: str) -> None:
    """`hpo migrate` changes nothing there, and so does not mind who works on it."""
    store = open_store(address)
    create(store, definition())
    claimed(Claims(store, "s", "a", Times()))
    assert call("migrate", "--storage", address).code == 0


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_unknown_tables_are_refused(address: str, engine: Engine, revision: str) -> None:
    """Older tables are upgraded by `hpo migrate`, newer ones by nobody here: exit code 4, with what to do."""
    store = open_store(address)
    create(store, definition())
    claims = Claims(store, "s", "a", Times())
    with engine.begin() as connection:
        connection.execute(tables.schema.update().values(version_num=revision))
    message = f"has schema {revision}, this hpo (needs|knows) {tables.REVISION}; " + (
        "`hpo migrate` upgrades it" if revision == "0000" else "install the hpo that upgraded it"
    )
    for command in (["status", "s"], ["stop", "s"], ["worker", "s"]):
        refused = call(*command, "--storage", address)
        assert refused.code == 4
        assert re.search(message, refused.err)
    with pytest.raises(StorageError, match=message):  # a worker that was there before
        claims.claim()
    if revision == "9999":
        assert call("migrate", "--storage", address).code == 4


def test_optunas_tables_are_upgraded_too(address: str, engine: Engine) -> None:
    """Tables of an older Optuna are refused, and upgraded by `hpo migrate`; our log is still heard afterwards."""
    create(open_store(address), definition())
    run(engine, "update alembic_version set version_num = 'v3.0.0.d'")
    status = call("status", "s", "--storage", address)
    assert status.code == 4
    assert "Optuna's tables in the database" in status.err
    assert "`hpo migrate` upgrades them" in status.err
    assert call("migrate", "--storage", address).code == 0
    assert not logging.getLogger("hpo").disabled
    assert call("status", "s", "--storage", address).code == 0
    run(engine, "update alembic_version set version_num = 'v99'")
    assert "newer than optuna" in call("migrate", "--storage", address).err


def test_six_at_once_upgrade_once(address: str, engine: Engine) -> None:
    """Whoever comes first does it, the others find it done."""
    first_release(engine, address)
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_store(address), range(6)))
    assert [store.names() for store in stores] == [["s"]] * 6
    assert differences(engine) == []
