"""What PostgreSQL is asked for when a session is opened."""

import uuid

import pytest
from sqlalchemy import text

from hpo.store import Store
from hpo.store.postgres import PostgreSQL
from tests.postgres import Server
from tests.support import OPEN, open_store


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
