"""The commands for who keeps the database."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo.console import (
    artifacts_option,
    cache_option,
    console,
    emit,
    example,
    json_option,
    log,
    name_argument,
    option,
    storage_option,
)
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.artifacts import Artifacts

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


@click.command(epilog=example("hpo delete quickstart --dry-run"))
@name_argument
@option("--yes", is_flag=True, help="Do not ask.")
@option("--dry-run", is_flag=True, help="Print what would be deleted, and change nothing.")
@storage_option
@artifacts_option
@cache_option
@json_option
def delete(
    name: str, yes: bool, dry_run: bool, storage: str, artifacts: "Artifacts", cache: Path, as_json: bool
) -> None:
    """Deletes a study for good: its trials, its evaluations, its files.

    Refused while a worker is at work on it. Interrupted, the same command goes on. Who opened which test part stays on
    record, and the data cache stays too: `hpo gc` clears what no study needs.
    """
    from hpo import keeping
    from hpo.formats import size
    from hpo.store import Store, deletion

    with Store(storage, read_only=dry_run) as store:
        doomed = deletion.look(store, name)
        folders = keeping.folders_of(doomed, artifacts)
        files = sum(folders.values())
        trials = doomed.rows["trials"]
        what = f"{', '.join(doomed.names)} in {store.place}: {trials} trials, {size(files)} of files"
        found = {
            "studies": doomed.names,
            "rows": doomed.rows,
            "folders": list(folders),
            "bytes": files,
            "deleted": not dry_run,
        }
        if not dry_run:
            if not yes:
                _ask(f"Delete {what}?")
            keeping.delete(store, doomed, artifacts, cache)
    if as_json:
        emit(found)
    else:
        log.info("%s %s", "would delete" if dry_run else "deleted", what)


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody can be asked here; say --yes")
    click.confirm(question, abort=True, err=True)


@click.command(epilog=example("hpo gc --dry-run"))
@option("--orphans", is_flag=True, help="Also folders of studies that this database does not know.")
@option("--dry-run", is_flag=True, help="Print what would be removed, and change nothing.")
@storage_option
@artifacts_option
@cache_option
@json_option
def gc(orphans: bool, dry_run: bool, storage: str, artifacts: "Artifacts", cache: Path, as_json: bool) -> None:
    """Clears what nobody needs: checkpoints of ended trials, caches of no study, workers that left, half-written files.

    Safe while studies are worked on. Folders of unknown studies may belong to another database: they are named, and
    removed with --orphans.
    """
    from hpo import keeping
    from hpo.formats import size
    from hpo.store import Store

    with Store(storage, read_only=dry_run) as store:
        found = keeping.rubbish(store, artifacts, cache)
        going = [item for item in found if orphans or item.kind != keeping.ORPHAN]
        staying = [item for item in found if item not in going]
        if not dry_run:
            keeping.clear(store, going, artifacts, cache)
    total = sum(item.bytes for item in going)
    if as_json:
        items = [{"kind": item.kind, "name": item.name, "bytes": item.bytes} for item in going]
        kept = [{"kind": item.kind, "name": item.name, "bytes": item.bytes} for item in staying]
        emit({"removed": not dry_run, "items": items, "bytes": total, "kept": kept})
        return
    if going:
        console().print(keeping.table(going))
    log.info("%s %d, %s", "would remove" if dry_run else "removed", len(going), size(total))
    for item in staying:
        log.info("left alone: %s %s, %s; --orphans removes it", item.kind, item.name, size(item.bytes))
