"""The command that shows studies in a browser."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo import settings
from hpo.console import artifacts_option, cache_option, example, log, option, storage_option
from hpo.errors import UsageError, require

if TYPE_CHECKING:
    from hpo.artifacts import Artifacts
    from hpo.dashboard.accounts import Role

_FILE = click.Path(path_type=Path, dir_okay=False)
_EXAMPLES = """hpo dashboard
  hpo dashboard --make-user anna --role editor >> users; chmod 600 users
  hpo dashboard --host 0.0.0.0 --users-file users --certfile cert.pem --keyfile key.pem"""
_ROLE = click.Choice(["viewer", "editor"])


@click.command(epilog=example(_EXAMPLES))
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; others than loopback need users.")
@option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@option("--users-file", type=_FILE, help="File with a line for each user; --make-user prints one.")
@option("--token-file", type=_FILE, help="File with a token, a login of its own; or in HPO_DASHBOARD_TOKEN.")
@option("--token-role", type=_ROLE, default="viewer", show_default=True, help="What the token allows.")
@option("--anonymous", type=_ROLE, default="viewer", show_default=True, help="Role of all where nobody logs in.")
@option("--allow-host", multiple=True, metavar="NAME", help="Further name by which browsers may call it.")
@option("--proxy", default="", metavar="ADDRESS", help="Of a proxy in front: believe whom it says it speaks for.")
@option("--certfile", type=_FILE, help="Certificate for TLS, PEM.")
@option("--keyfile", type=_FILE, help="Its key.")
@option("--session-hours", type=click.FloatRange(min=0.1), default=12.0, show_default=True, help="That a login lasts.")
@option("--audit-file", type=_FILE, help="Add a JSON line for each login and change.  [default: the log alone]")
@option("--editor-storage-file", type=_FILE, help="File with the address to write notes by.  [default: --storage]")
@option("--dry-run", is_flag=True, help="Look whether all is well, say who may come in, and end.")
@option("--make-user", metavar="NAME", help="Ask for a password, print a line for the users file, and end.")
@option("--role", type=_ROLE, default="viewer", show_default=True, help="Of that user.")
@artifacts_option
@cache_option
@storage_option
def dashboard(
    host: str,
    port: int,
    users_file: Path | None,
    token_file: Path | None,
    token_role: "Role",
    anonymous: "Role",
    allow_host: tuple[str, ...],
    proxy: str,
    certfile: Path | None,
    keyfile: Path | None,
    session_hours: float,
    audit_file: Path | None,
    editor_storage_file: Path | None,
    dry_run: bool,
    make_user: str | None,
    role: "Role",
    artifacts: "Artifacts",
    cache: Path,
    storage: str,
) -> None:
    """Shows studies in a browser: Optuna Dashboard, with curves, matrices and notes of hpo, behind a login.

    On this machine everybody may look. Where others can reach it, users have to log in: a viewer looks, an editor
    writes notes. Nobody deletes, renames or changes what workers need.
    """
    if make_user is not None:
        click.echo(_user_line(make_user, role))
        return
    for library in ("optuna_dashboard", "gunicorn"):
        require(library, "dashboard", "hpo dashboard")
    from hpo.artifacts.copies import Copies
    from hpo.dashboard.accounts import Accounts
    from hpo.dashboard.audit import Audit
    from hpo.dashboard.gate import Door, Gate
    from hpo.dashboard.headers import Hosts, loopback
    from hpo.dashboard.house import House
    from hpo.dashboard.serve import Place, check_certificate, listen, run
    from hpo.dashboard.sessions import Sessions
    from hpo.store import Store
    from hpo.store.address import read_secret

    if (certfile is None) != (keyfile is None):
        raise UsageError("TLS needs --certfile and --keyfile, both")
    token = settings.dashboard_token() if token_file is None else read_secret(token_file, "--token-file")
    accounts = Accounts(users_file, token, token_role)
    if not accounts and (opened := _opened(host, proxy, allow_host, at_home=loopback(host))):
        raise UsageError(
            f"{opened}, and nobody would have to log in; give --users-file or --token-file (`hpo dashboard --make-user "
            f"NAME` prints a line of a users file), or leave {opened.split()[0]} out"
        )
    if not loopback(host) and certfile is None and not proxy:
        log.warning("passwords will travel unencrypted; --certfile and --keyfile, or a proxy with TLS, protect them")
    editing = storage if editor_storage_file is None else read_secret(editor_storage_file, "--editor-storage-file")
    audit, place = Audit(audit_file), Place(host, port, certfile, keyfile, proxy)
    check_certificate(place)
    door = Door(Hosts(host, allow_host), accounts, Sessions(session_hours * 3600), audit, anonymous, proxy=proxy)

    def make() -> Gate:
        return Gate(
            door, House(lambda: Store(storage, read_only=True), lambda: Store(editing), Copies(artifacts, cache))
        )

    # what is wrong with the database is said here and now; it is opened again in the process that serves
    with Store(storage, read_only=True) as store, listen(place) as listener:
        lines = (
            f"address:  {place.address(listener)}",
            f"names:    {', '.join(door.hosts.names)}",
            f"users:    {accounts.summary() if accounts else f'nobody logs in; everybody is {anonymous}'}",
            f"database: {store.place}, {len(store.names())} studies",
        )
        if dry_run:
            click.echo("\n".join(lines))
            return
        store.close()
        run(place, listener, make)


def _opened(host: str, proxy: str, names: tuple[str, ...], *, at_home: bool) -> str:
    """By what others can reach it; empty where they cannot."""
    if not at_home:
        return f"--host {host} can be reached from other machines"
    if proxy:
        return f"--proxy {proxy} speaks for other machines"
    return f"--allow-host {names[0]} is a name by which others call it" if names else ""


def _user_line(name: str, role: str) -> str:
    from hpo.dashboard.accounts import acceptable, hash_password

    if not acceptable(name):
        raise UsageError(f"--make-user: {name!r} is no name; accepted: letters, digits and . _ @ -, and not 'token'")
    if sys.stdin.isatty():
        password = click.prompt(f"password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    return f"{name}:{role}:{hash_password(password)}"
