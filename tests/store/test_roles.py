"""Roles of a PostgreSQL database: a worker cannot change tables, a viewer can change nothing."""

import re
import uuid
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from hpo.settings import Times
from hpo.store import Claims, Store
from hpo.trial import Epoch
from tests.cli.run import call
from tests.postgres import Server
from tests.support import claimed, completed, create, definition, open_store, work_off

PASSWORD = "pass-6a1f"
WRITES = ("insert into NAME default values", "update NAME set COLUMN = COLUMN", "delete from NAME", "truncate NAME")


@pytest.fixture
def address(postgres: Server) -> str:
    """A migrated database."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    assert call("migrate", "--storage", address).code == 0
    return address


def member(postgres: Server, address: str, *roles: str, options: str = "") -> str:
    """The address for a new member of these roles, its password included."""
    return postgres.login(address, PASSWORD, *roles, options=options).replace("@", f":{PASSWORD}@")


def refused(address: str, statement: str) -> bool:
    """Whether the server says that the user may not do this."""
    with psycopg.connect(address, autocommit=True) as connection:
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


def tables(address: str) -> dict[str, str]:
    """Optuna's and ours -> a column of each."""
    query = (
        "select table_name, min(column_name) from information_schema.columns where table_schema = 'public' group by 1"
    )
    with psycopg.connect(address) as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def test_a_worker_runs_a_study_and_changes_no_table(postgres: Server, address: str) -> None:
    """Its role suffices to create a study and to work it off, and DDL is refused."""
    worker = member(postgres, address, "hpo_worker")
    with Store(worker) as store:
        create(store, definition(budget={"trials": 3}))
        claims = Claims(store, "s", "a", Times())
        claims.roster.join(host="h", pid=1, slots=1, lease=60.0)
        claim = claimed(claims)
        claims.report(claim, Epoch(fold=0, epoch=0, step=0, value=0.5, seconds=0.1, logs={}))
        claims.renew([claim])
        assert claims.finish(claim, completed())
        assert work_off(claims) == [1, 2]
        claims.roster.leave()
        assert store.status("s").state == "ended"
    for statement in (
        "create table t (x int)",
        "create temporary table t (x int)",
        "create view v as select 1",
        "create type t as enum ('a')",
        "create schema s",
        "drop table hpo_trials",
        "alter table hpo_trials add column x int",
        "create index i on hpo_trials (seed)",
        "truncate hpo_trials",
        "update hpo_schema set version_num = '9999'",
        "delete from alembic_version",
        "create role r",
        "set role hpo_owner",
    ):
        assert refused(worker, statement), statement
    migrated = call("migrate", HPO_STORAGE=worker)
    assert migrated.code == 4
    assert "the roles are not" in migrated.err


def test_a_viewer_reads_and_changes_nothing(postgres: Server, address: str, tmp_path: Path) -> None:
    """With its role every command that only looks works; every write to every table is refused by the server."""
    with Store(address) as store:
        create(store, definition(budget={"trials": 1}))
        work_off(Claims(store, "s", "a", Times()))
    viewer = member(postgres, address, "hpo_viewer")
    for command in (["list"], ["status", "s"], ["show", "s", "0"]):
        run = call(*command, "--json", HPO_STORAGE=viewer)
        assert run.code == 0, run.err
        assert run.json()
    (tmp_path / "s" / "0").mkdir(parents=True)
    (tmp_path / "s" / "0" / "log.txt").write_text("it went well")
    assert call("logs", "s", "0", "--artifacts", tmp_path, HPO_STORAGE=viewer).out == "it went well"
    assert call("export", "s", HPO_STORAGE=viewer).json()["value"] == 0.5
    assert call("report", "s", "--static", "-o", tmp_path / "report.html", HPO_STORAGE=viewer).code == 0
    stop = call("stop", "s", HPO_STORAGE=viewer)
    assert (stop.code, "permission denied" in stop.err) == (4, True)
    columns = tables(address)
    assert {"hpo_studies", "hpo_trials", "hpo_workers", "hpo_schema", "trials", "studies"} <= columns.keys()
    for name in columns:
        for statement in WRITES:
            assert refused(viewer, statement.replace("NAME", name).replace("COLUMN", columns[name])), statement
    assert refused(viewer, "create table t (x int)")
    assert refused(viewer, "create temporary table t (x int)")


def test_a_reading_store_changes_nothing_whatever_its_rights(address: str) -> None:
    """Commands that only look have the server refuse writes even for an owner."""
    with (
        Store(address, read_only=True) as store,
        store.rdb.engine.connect() as connection,
        pytest.raises(InternalError, match="read-only transaction"),
    ):
        connection.execute(text("delete from hpo_workers"))


def test_what_later_steps_make_is_covered(postgres: Server, address: str) -> None:
    """A new table is at once readable for a viewer and writable for a worker."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("set role hpo_owner")
        connection.execute("create table later (x serial primary key)")
    worker, viewer = member(postgres, address, "hpo_worker"), member(postgres, address, "hpo_viewer")
    assert not refused(worker, "insert into later default values")
    assert not refused(viewer, "select * from later")
    assert refused(viewer, "insert into later default values")


def test_owners_need_not_be_superusers(postgres: Server) -> None:
    """The database's owner makes tables and roles; another member of the owner's role can migrate after that."""
    plain = postgres.database(f"t{uuid.uuid4().hex}")
    owner = member(postgres, plain, options="createrole")
    with psycopg.connect(plain, autocommit=True) as connection:
        name = owner.split("//")[1].split(":")[0]
        connection.execute(f"alter database {plain.rsplit('/', 1)[1]} owner to {name}")
    for _ in range(2):
        run = call("migrate", HPO_STORAGE=owner)
        assert run.code == 0, run.err
    second = member(postgres, plain, "hpo_owner")
    run = call("migrate", HPO_STORAGE=second)
    assert run.code == 0, run.err
    with psycopg.connect(second) as connection:
        connection.execute("alter table hpo_trials add column x int")
        connection.execute("alter type trialstate add value 'NEW'")
        connection.rollback()


def test_who_may_make_no_roles_is_told_so(postgres: Server) -> None:
    """Exit code 4 with what to do; the tables are there, and --no-roles is content with them."""
    plain = postgres.database(f"t{uuid.uuid4().hex}")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("grant create on schema public to public")
    simple = member(postgres, plain)
    run = call("migrate", "--worker-role", "other_worker", HPO_STORAGE=simple)
    assert run.code == 4
    assert "the tables are ready, but the roles are not: permission denied to create role" in run.err
    assert call("migrate", "--no-roles", HPO_STORAGE=simple).code == 0
    open_store(simple)


def test_a_role_with_a_password_logs_in(postgres: Server, address: str, tmp_path: Path) -> None:
    """The password comes from a file, and changes with it; names of roles are the operator's."""
    role = f"w{uuid.uuid4().hex[:8]}"
    file = tmp_path / "password"
    file.touch(mode=0o600)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"create role {role} in role locked")
    for password in ("first-61f0", "it's {second} %40 \\"):
        file.write_text(password + "\n")
        run = call("migrate", "--worker-role", role, "--worker-password-file", file, HPO_STORAGE=address)
        assert run.code == 0, run.err
        assert password not in run.err
        with psycopg.connect(address.replace("hpo@", f"{role}@"), password=password) as connection:
            connection.execute("select * from hpo_studies")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address.replace("hpo@", f"{role}@"), password="first-61f0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--worker-role", "Robert'); drop"], 'role "Robert\'\\); drop": accepted: lower-case letters'),
        (["--viewer-role", "pg_monitor"], "role 'pg_monitor': accepted"),
        (["--viewer-role", "hpo_worker"], "owner, worker and viewer need a role each"),
        (["--worker-password-file", "missing"], "--worker-password-file: cannot read missing: No such file"),
    ],
)
def test_names_that_no_role_can_have(options: list[str], message: str) -> None:
    """Exit code 2 before anything is touched."""
    run = call("migrate", "--storage", "postgresql://hpo@127.0.0.1:1/none", *options)
    assert run.code == 2
    assert re.search(message, run.err), run.err
