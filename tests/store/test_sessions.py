"""What PostgreSQL is asked for when a session is opened."""

import uuid
from urllib.parse import urlencode

import psycopg
import pytest
from sqlalchemy import text

from hpo.store import Store
from hpo.store.postgres import PostgreSQL
from tests.postgres import Server
from tests.support import OPEN, open_store


def shown(address: str, *names: str) -> list[list[str]]:
    """What the sessions of an address, those for rows and those for locks, have as settings."""
    OPEN.append(Store(address, create=True))
    database = OPEN[-1]._database
    assert isinstance(database, PostgreSQL)
    found = []
    for engine in (OPEN[-1].rdb.engine, database._locks):
        with engine.connect() as connection:
            found.append([connection.execute(text(f"show {name}")).scalar_one() for name in names])
    return found


@pytest.mark.parametrize("way", ["address", "variables"])
def test_what_is_asked_of_the_server_is_asked(postgres: Server, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The server's options and the name of the session, in the address or PostgreSQL's own variables, hold beside ours;
    where both say something, hpo's time zone and limits do.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    with psycopg.connect(address) as connection:
        connection.execute("create schema mine")
    options = "-csearch_path=mine -c work_mem=7MB -c timezone=Asia/Tokyo"
    if way == "address":
        address += f"?{urlencode({'options': options, 'application_name': 'me'})}"
    else:
        monkeypatch.setenv("PGOPTIONS", options)
        monkeypatch.setenv("PGAPPNAME", "me")
    names = ("search_path", "work_mem", "timezone", "application_name", "tcp_user_timeout")
    assert shown(address, *names) == [["mine", "7MB", "UTC", "me", "20000"]] * 2
    with psycopg.connect(address.partition("?")[0]) as connection:
        tables = (
            "select table_schema, count(*) from information_schema.tables where table_name like 'hpo\\_%' group by 1"
        )
        assert [schema for schema, _ in connection.execute(tables)] == ["mine"]


def test_the_first_connection_waits_as_long_as_is_said(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds, or what the address says, or PostgreSQL's own variable; and a session says who it is."""
    address = postgres.database(f"t{uuid.uuid4().hex}")
    open_store(address)

    def asked(more: str = "") -> str:
        OPEN.append(Store(address + more))
        with OPEN[-1].rdb.engine.connect() as connection:
            ours = connection.connection.driver_connection
            assert ours is not None
            return str(ours.info.get_parameters()["connect_timeout"])

    assert asked() == "10"
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "7")
    assert asked() == "7"
    assert asked("?connect_timeout=5") == "5"
    assert shown(address, "application_name")[0][0].startswith("hpo ")


@pytest.mark.parametrize(("given", "silent"), [("", "20000"), ("?tcp_user_timeout=7000", "7000")])
def test_both_ends_notice_when_the_other_is_gone(postgres: Server, given: str, silent: str) -> None:
    """Client and server end a connection whose other end has said nothing for 20 s, or for as long as the address says;
    in the sessions for locks too.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    open_store(address)
    OPEN.append(Store(address + given))
    database = OPEN[-1]._database
    assert isinstance(database, PostgreSQL)
    for engine in (OPEN[-1].rdb.engine, database._locks):
        with engine.connect() as connection:
            assert connection.execute(text("show tcp_user_timeout")).scalar_one() == silent
            assert connection.execute(text("show tcp_keepalives_idle")).scalar_one() == "10"
            ours = connection.connection.driver_connection
            assert ours is not None
            asked = ours.info.get_parameters()
        assert (asked["tcp_user_timeout"], asked["keepalives_idle"]) == (silent, "10")
