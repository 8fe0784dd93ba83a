"""The commands for who keeps the database."""

from pathlib import Path

import click

from hpo.console import example, log, option, storage_option
from hpo.errors import UsageError

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(epilog=example("hpo migrate --storage postgresql://hpo@db.example/hpo"))
@storage_option
@option("--roles/--no-roles", default=True, show_default=True, help="On a server: make the roles below.")
@option("--owner-role", default="hpo_owner", show_default=True, help="Role that may change tables.")
@option("--worker-role", default="hpo_worker", show_default=True, help="Role that may read and write rows.")
@option("--viewer-role", default="hpo_viewer", show_default=True, help="Role that may only read.")
@option("--worker-password-file", type=_FILE, help="File with a password: the worker's role logs in itself.")
@option("--viewer-password-file", type=_FILE, help="The same for the viewer's role.")
def migrate(
    storage: str,
    roles: bool,
    owner_role: str,
    worker_role: str,
    viewer_role: str,
    worker_password_file: Path | None,
    viewer_password_file: Path | None,
) -> None:
    """Creates the tables of a database, or upgrades older ones, and makes its roles. Several at once do no harm.

    For a database on a server this is the only command that changes tables; for a SQLite file, which has no roles,
    `hpo launch` does it too. While a worker holds a trial, nothing is upgraded.
    """
    from hpo.store import Roles, Store, on_server
    from hpo.store.address import read_secret

    given = (
        (worker_role, "--worker-password-file", worker_password_file),
        (viewer_role, "--viewer-password-file", viewer_password_file),
    )
    passwords = {role: read_secret(file, option) for role, option, file in given if file is not None}
    if passwords and not (roles and on_server(storage)):
        raise UsageError("passwords of roles need a database on a server, and no --no-roles")
    wanted = Roles(owner_role, worker_role, viewer_role, passwords)
    with Store(storage, create=True) as store:
        if roles:
            store.grant(wanted)
        log.info("%s is ready", store.place)
