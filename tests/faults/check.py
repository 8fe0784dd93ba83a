"""What the database says after the faults, looked at without any code of ours: triggers kept the history meanwhile."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, text

LEASE = 5.0

# Written down by the database itself, whoever changes the rows, in whatever order. Moments by its own clock.
TRIGGERS = """
create table audit (id bigserial primary key, at double precision default extract(epoch from clock_timestamp()),
  what text, number int, attempt int, expired double precision);
create function audit_outcome() returns trigger language plpgsql as $$ begin
  if new.outcome::text is distinct from old.outcome::text then
    insert into audit (what, number, attempt) values ('recorded', new.number, new.attempt); end if;
  if new.attempt is distinct from old.attempt then
    insert into audit (what, number, attempt, expired) values ('taken over', new.number, new.attempt, old.expires_at);
  end if;
  return new; end $$;
create trigger audit_outcome after update on hpo_trials for each row execute function audit_outcome();
create function audit_new() returns trigger language plpgsql as $$ begin
  insert into audit (what, number, attempt) values ('given out', new.number, new.attempt);
  return new; end $$;
create trigger audit_new after insert on hpo_trials for each row execute function audit_new();
create function audit_state() returns trigger language plpgsql as $$ begin
  if new.state is distinct from old.state and new.state::text in ('COMPLETE', 'PRUNED', 'FAIL') then
    insert into audit (what, number) values ('told', new.number); end if;
  return new; end $$;
create trigger audit_state after update on trials for each row execute function audit_state();
"""


@dataclass(frozen=True)
class TakeOver:
    """A trial whose lease ran out, and that somebody took over.

    Attributes:
        number, attempt: what it was given out as.
        renewed, expired: moments of the lease's last renewal and of its end, by the database's clock.
        at: moment of the take-over.
        passed: new trials that were given out between the end of the lease and the take-over, not counting those of
            moments in which workers left leases alone because of an outage.
    """

    number: int
    attempt: int
    renewed: float
    expired: float
    at: float
    passed: int

    def waited(self, disturbed: Sequence[tuple[float, float]] = ()) -> float:
        """Seconds from the last renewal to the take-over.

        Args:
            disturbed: from when to when nobody could take it over: such seconds do not count once the lease has ended.
        """
        waited, known = self.expired - self.renewed, self.expired
        for begin, end in [*sorted(disturbed), (self.at, self.at)]:
            waited += max(0.0, min(begin, self.at) - known)
            known = max(known, min(end, self.at))
        return waited


@dataclass
class Findings:
    """Numbers of trials (or lines) that break a promise; all empty when all promises were kept."""

    lost: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    orphaned: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    neglected: list[TakeOver] = field(default_factory=list)
    takeovers: list[TakeOver] = field(default_factory=list)
    """All there were; they break no promise by themselves."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.lost or self.twice or self.orphaned or self.beyond or self.strange or self.neglected)


def watch(address: str) -> None:
    """Puts the triggers in place."""
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(TRIGGERS))
    engine.dispose()


def look(
    address: str, budget: int, diary: Path, lease: float = LEASE, outages: Sequence[tuple[float, float]] = ()
) -> Findings:
    """Compares the rows, the triggers' history and the children's diary.

    Args:
        address: of the database.
        budget: trials that the study was to have.
        diary: see tests/fake_server.py; of every start.
        lease: seconds of a lease.
        outages: from when to when workers left leases alone that had run out, because others could not renew theirs.
    """
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        ours = {row.number: row for row in connection.execute(text("select * from hpo_trials"))}
        rows = connection.execute(text("select number, state::text from trials"))
        states: dict[int, str] = {row.number: row.state for row in rows}
        audit = connection.execute(text("select * from audit order by id")).all()
    engine.dispose()
    recorded = Counter(row.number for row in audit if row.what == "recorded")
    told = Counter(row.number for row in audit if row.what == "told")
    fresh = [row.at for row in audit if row.what == "given out"]
    fresh = [at for at in fresh if not any(begin < at < end for begin, end in outages)]
    takeovers = [
        TakeOver(
            number=row.number,
            attempt=row.attempt,
            renewed=row.expired - lease,
            expired=row.expired,
            at=row.at,
            passed=sum(row.expired < at < row.at for at in fresh),
        )
        for row in audit
        if row.what == "taken over" and row.expired is not None  # one that was given back waits for no lease to end
    ]
    starts = {(int(n), int(a)) for n, a, *_ in (line.split() for line in diary.read_text().splitlines())}
    found = Findings(
        lost=[n for n in range(budget) if states.get(n) not in ("COMPLETE", "PRUNED") or not recorded[n]],
        twice=[n for n in states if recorded[n] > 1 or told[n] > 1],
        orphaned=[n for n, state in states.items() if state == "RUNNING" or (n in ours and ours[n].expires_at)],
        beyond=[n for n, state in states.items() if n >= budget and state != "WAITING"],
        takeovers=takeovers,
        # a claim that had begun when the lease ran out may give out one new trial; the next one takes this one over
        neglected=[each for each in takeovers if each.passed > 1],
    )
    for each in takeovers:
        if each.at < each.expired:
            found.strange.append(f"trial {each.number} was taken over {each.expired - each.at:.1f} s before its time")
    for number, row in ours.items():
        # the outcome of a trial that was trained must be that of an attempt that really ran, and of the last one
        if row.cause == "completed" and (number, row.attempt) not in starts:
            found.strange.append(f"trial {number} was recorded for attempt {row.attempt}, which nobody started")
        if row.cause not in ("completed", "poison"):
            found.strange.append(f"trial {number} ended as {row.cause!r}")
    return found
