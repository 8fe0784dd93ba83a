"""Who may do what in a PostgreSQL database: three roles, made or renewed by `hpo migrate`.

The owner may change tables, a worker reads and writes rows, a viewer only reads. They are roles that people and
services are made members of (`grant hpo_worker to ada`); one that gets a password can log in itself.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from hpo import redact
from hpo.errors import StorageError, UsageError, reason

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# What says which version the tables have: only who changes tables changes it.
VERSIONS = ("alembic_version", "hpo_schema", "version_info")


@dataclass(frozen=True)
class Roles:
    """Names of the roles of a database.

    Attributes:
        passwords: role -> password of those that log in themselves.

    Raises:
        UsageError: a name that no role can have, or one name twice.
    """

    owner: str = "hpo_owner"
    worker: str = "hpo_worker"
    viewer: str = "hpo_viewer"
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Looks at the names."""
        names = (self.owner, self.worker, self.viewer)
        for name in names:
            if not NAME.fullmatch(name) or name.startswith("pg_") or name in ("public", "none"):
                raise UsageError(f"role {name!r}: accepted: lower-case letters, digits and _, up to 63, not pg_...")
        if len(set(names)) != len(names):
            raise UsageError(f"owner, worker and viewer need a role each; got {', '.join(names)}")


def grant(engine: Engine, roles: Roles) -> None:
    """Makes the roles where they are missing, and gives each its rights on everything there is. Can be repeated.

    To be called under the lock of the schema, by a user who owns the tables or is a member of the owner's role.

    Raises:
        StorageError: the user may not do so; the message says what is missing.
    """
    try:
        with engine.begin() as connection:
            schema = str(connection.execute(text("select current_schema()")).scalar_one())
            for name in (roles.owner, roles.worker, roles.viewer):
                _make(connection, name, roles.passwords.get(name))
            _own(connection, roles.owner, schema)
            for statement in _rights(connection, roles, schema):
                connection.execute(text(statement))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "42501":  # insufficient privilege
            raise
        raise StorageError(
            f"the tables are ready, but the roles are not: {reason(error)}. Have the database's owner, with the right "
            "to create roles (CREATEROLE), run `hpo migrate` once; or say --no-roles, and grant what is needed yourself"
        ) from error


def _make(connection: Connection, name: str, password: str | None) -> None:
    if _none(connection, "select 1 from pg_roles where rolname = :name", name=name):
        # Roles belong to the whole server: a migration of another database may be making the same one.
        connection.execute(
            text(f'do $$ begin create role "{name}" nologin; exception when duplicate_object then null; end $$')
        )
    if password is not None:
        redact.remember(password)
        raw: Any = connection.connection.dbapi_connection
        # What is sent, and may be logged by the server, is the password's verifier.
        verifier = raw.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        connection.exec_driver_sql(f"alter role \"{name}\" login password '{verifier}'")


def _own(connection: Connection, owner: str, schema: str) -> None:
    """Hands over the tables, and the types of their columns, that belong to the user who runs this."""
    if _none(connection, "select 1 where pg_has_role(current_user, :owner, 'member')", owner=owner):
        connection.execute(text(f'grant "{owner}" to current_user'))
    if _none(connection, "select 1 where has_schema_privilege(:owner, :schema, 'create')", owner=owner, schema=schema):
        connection.execute(text(f'grant usage, create on schema "{schema}" to "{owner}"'))
    mine = (
        "select format('alter table %I.%I owner to %I', schemaname, tablename, cast(:owner as text)) from pg_tables "
        "where schemaname = :schema and tableowner = current_user union all "
        "select format('alter type %s owner to %I', t.oid::regtype, cast(:owner as text)) from pg_type t "
        "where typtype = 'e' and typnamespace = cast(:schema as regnamespace) "
        "and typowner = cast(current_user as regrole)"
    )
    for statement in connection.execute(text(mine), {"owner": owner, "schema": schema}).scalars().all():
        connection.execute(text(statement))


def _rights(connection: Connection, roles: Roles, schema: str) -> list[str]:
    """The statements that give each role what it may do."""
    place, worker, viewer = f'in schema "{schema}"', f'"{roles.worker}"', f'"{roles.viewer}"'
    statements = []
    for role, name in ((worker, roles.worker), (viewer, roles.viewer)):
        # asked first, because only the schema's owner may grant it
        if _none(connection, "select 1 where has_schema_privilege(:n, :schema, 'usage')", n=name, schema=schema):
            statements.append(f'grant usage on schema "{schema}" to {role}')
    if not _none(connection, "select 1 where has_schema_privilege('public', :schema, 'create')", schema=schema):
        statements.append(f'revoke create on schema "{schema}" from public')  # as it was before PostgreSQL 15
    if not _none(connection, "select 1 where has_database_privilege('public', current_database(), 'temporary')"):
        database = connection.execute(text("select quote_ident(current_database())")).scalar_one()
        statements.append(f"revoke temporary on database {database} from public")
    writing, reading = "select, insert, update, delete", "select"
    statements += [
        f"grant {writing} on all tables {place} to {worker}",
        *(f'revoke insert, update, delete on "{schema}".{table} from {worker}' for table in VERSIONS),
        f"grant usage, select on all sequences {place} to {worker}",
        f"grant {reading} on all tables {place} to {viewer}",
    ]
    # what later steps make, whoever of the owners takes them
    for maker in (f'"{roles.owner}"', "current_user"):
        statements += [
            f"alter default privileges for role {maker} {place} grant {writing} on tables to {worker}",
            f"alter default privileges for role {maker} {place} grant usage, select on sequences to {worker}",
            f"alter default privileges for role {maker} {place} grant {reading} on tables to {viewer}",
        ]
    return statements


def _none(connection: Connection, question: str, **names: str) -> bool:
    """Whether a question has no answer."""
    return connection.execute(text(question), names).first() is None
