"""The dashboard on PostgreSQL: it looks by the viewer's role, and only an editor's note goes by another one."""

import uuid
from functools import partial
from pathlib import Path

from hpo.dashboard.house import House
from hpo.store import Claims, Roles, Store
from tests.dashboard.client import Client
from tests.dashboard.place import STUDY, Place, at_the_door
from tests.postgres import Server
from tests.support import FAST, claimed, completed, copies, create, definition

PASSWORD = "pass-6a1f"
NOTE = {"version": 1, "body": "mine"}


def test_who_looks_may_not_write(postgres: Server, tmp_path: Path) -> None:
    """By the viewer's role everything is seen and no note can be written, by an editor either, unless editors have an
    address of their own.
    """
    address = postgres.database(f"t{uuid.uuid4().hex}")
    with Store(address, create=True) as store:
        store.grant(Roles("hpo_owner", "hpo_worker", "hpo_viewer", {}))
        create(store, definition())
        claims = Claims(store, "s", "worker", FAST)
        claims.finish(claimed(claims), completed(0.9))
    viewer, worker = (
        postgres.login(address, PASSWORD, role).replace("@", f":{PASSWORD}@") for role in ("hpo_viewer", "hpo_worker")
    )
    for editing, status in ((viewer, 503), (worker, 200)):
        house = House(partial(Store, viewer, read_only=True), partial(Store, editing), copies(tmp_path))
        place = Place(tmp_path, at_the_door(tmp_path, house), house)
        client = place.client("anna")
        found = client.get(f"/api/studies/{STUDY}").json
        assert found["trials"][0]["values"] == [0.9]
        assert "trial 0" in found["note"]["body"]
        reply = client.ask("PUT", f"/api/studies/{STUDY}/note", NOTE)
        assert reply.status == status
        if status == 503:
            assert "lets nobody change it by the address that this dashboard has" in reply.text
        # were a change to come through as a look, the role would refuse it
        later = NOTE | {"version": 1 + (status == 200)}
        assert Client(house._reading).ask("PUT", f"/api/studies/{STUDY}/note", later).status == 500
        house.close()
