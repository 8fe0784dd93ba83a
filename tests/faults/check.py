"""What the database says after the faults, looked at without any code of ours: triggers kept the history meanwhile."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, text

# Written down by the database itself, whoever changes the rows, in whatever order.
TRIGGERS = """
create table audit (id bigserial primary key, what text, number int, attempt int);
create function audit_outcome() returns trigger language plpgsql as $$ begin
  if new.outcome::text is distinct from old.outcome::text then
    insert into audit (what, number, attempt) values ('recorded', new.number, new.attempt); end if;
  if new.attempt is distinct from old.attempt then
    insert into audit (what, number, attempt) values ('taken over', new.number, new.attempt); end if;
  return new; end $$;
create trigger audit_outcome after update on hpo_trials for each row execute function audit_outcome();
create function audit_state() returns trigger language plpgsql as $$ begin
  if new.state is distinct from old.state and new.state::text in ('COMPLETE', 'PRUNED', 'FAIL') then
    insert into audit (what, number) values ('told', new.number); end if;
  return new; end $$;
create trigger audit_state after update on trials for each row execute function audit_state();
"""


@dataclass
class Findings:
    """Numbers of trials (or lines) that break a promise; all empty when all promises were kept."""

    lost: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    orphaned: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.lost or self.twice or self.orphaned or self.beyond or self.strange)


def watch(address: str) -> None:
    """Puts the triggers in place."""
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(TRIGGERS))
    engine.dispose()


def look(address: str, budget: int, diary: Path) -> Findings:
    """Compares the rows, the triggers' history and the children's diary.

    Args:
        address: of the database.
        budget: trials that the study was to have.
        diary: see tests/fake_server.py; of every start.
    """
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        ours = {row.number: row for row in connection.execute(text("select * from hpo_trials"))}
        rows = connection.execute(text("select number, state::text from trials"))
        states: dict[int, str] = {row.number: row.state for row in rows}
        audit = connection.execute(text("select what, number, attempt from audit order by id")).all()
    engine.dispose()
    recorded = Counter(number for what, number, _ in audit if what == "recorded")
    told = Counter(number for what, number, _ in audit if what == "told")
    starts = {(int(n), int(a)) for n, a, *_ in (line.split() for line in diary.read_text().splitlines())}
    found = Findings(
        lost=[n for n in range(budget) if states.get(n) not in ("COMPLETE", "PRUNED") or not recorded[n]],
        twice=[n for n in states if recorded[n] > 1 or told[n] > 1],
        orphaned=[n for n, state in states.items() if state == "RUNNING" or (n in ours and ours[n].expires_at)],
        beyond=[n for n, state in states.items() if n >= budget and state != "WAITING"],
    )
    for number, row in ours.items():
        # the outcome of a trial that was trained must be that of an attempt that really ran, and of the last one
        if row.cause == "completed" and (number, row.attempt) not in starts:
            found.strange.append(f"trial {number} was recorded for attempt {row.attempt}, which nobody started")
        if row.cause not in ("completed", "poison"):
            found.strange.append(f"trial {number} ended as {row.cause!r}")
    return found
