"""What stands in a report, in which order: the answer's evidence, then what was tried, then how it was done."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hpo.plots import Figure
from hpo.plots.training import curves
from hpo.report import evaluation, evaluation_tables, hyperparameters, search, tables, work
from hpo.report.gather import Files, Found
from hpo.report.table import Table

Item = Figure | Table | tuple[Figure, ...]
"""What a section holds; figures together are small ones that stand side by side."""


@dataclass(frozen=True)
class Section:
    """A part of the page: a headline, a sentence, and what is in it, in this order."""

    key: str
    title: str
    words: str
    content: tuple[Item, ...]

    @property
    def figures(self) -> Iterator[Figure]:
        """All of its figures."""
        for item in self.content:
            if isinstance(item, Figure):
                yield item
            elif isinstance(item, tuple):
                yield from item


def sections(found: Found) -> list[Section]:
    """All parts of a report that have something to show."""
    made = [*_evaluation(found), _asked(found), _tried(found), _settings(found), _work(found), _trials(found)]
    return [section for section in made if section.content]


def _section(key: str, title: str, words: str, content: Iterable[Item | None]) -> Section:
    """Without what is not there, or has no rows."""
    there = (item for item in content if item is not None and not (isinstance(item, Table) and not item.rows))
    return Section(key, title, words, tuple(item for item in there if item != ()))


def _winners(found: Found) -> Files:
    """The files of the winner, as far as they are here."""
    return found.files.get(found.winner.number, Files(None, None)) if found.winner else Files(None, None)


def _evaluation(found: Found) -> Iterator[Section]:
    report, own = found.evaluation, _winners(found).report
    if report is not None:
        lead = [evaluation.promise(report), evaluation.configurations(report), evaluation.ahead(report)]
        yield _section("evaluation", "What came out", "", [*lead, *evaluation_tables.evaluated(report)])
    if report is not None and report["test"] is not None:
        words = "On the test part, which no trial ever saw."
        both: list[Item] = [*evaluation.outcomes(report), *evaluation_tables.scores(report)]
        yield _section("mistakes", "What it gets right and wrong", words, both)
    elif own is not None:
        on = found.record.scored_on
        words = f"On {on}, which chose this trial: expect less on new data."
        if found.record.refits:
            words = f"On {on}: no part was held out to score a refit, so this says nothing about new data."
        both = [*evaluation.outcomes(own, on), *evaluation_tables.scores(own, on)]
        yield _section("mistakes", "What the best trial gets right and wrong", words, both)


def _asked(found: Found) -> Section:
    return _section("asked", "What was asked", "", [tables.asked(found), tables.space(found)])


def _tried(found: Found) -> Section:
    if not found.ends:
        return _section("tried", "What was tried", "", [])
    several, winner = len(found.record.spaces) > 1, found.winner
    folds = _winners(found).folds
    kept = winner.record.outcome.best_epochs if winner and winner.record.outcome else ()
    content: list[Item | None] = [search.front(found), tables.front(found), search.history(found)]
    content += [search.by_family(found), tables.families(found)] if several else []
    content += [search.learning(found), tables.curves(found)]
    if winner and folds:
        of, part = f"trial {winner.number}", "seen data" if found.record.refits else "validation"
        content.append(tuple(curves(folds, key="curve", of=of, best_epochs=kept, part=part)))
    return _section("tried", "What was tried", "", content)


def _settings(found: Found) -> Section:
    content = [
        hyperparameters.importance(found),
        tables.importances(found),
        hyperparameters.parallel(found),
        tuple(hyperparameters.slices(found)),
    ]
    words = "Scores against single settings show where good trials lie. They do not show why."
    if len(found.record.spaces) > 1:
        words += " The colours of the small figures are families, as in the figure of cost."
    return _section("settings", "What the hyperparameters did", words, content)


def _work(found: Found) -> Section:
    small = tuple(figure for figure in (work.ends(found), work.seconds(found)) if figure is not None)
    content = [
        work.timeline(found),
        tables.takeovers(found),
        small,
        tables.ends(found),
        tables.spent(found),
        search.cost(found),
        tables.failures(found),
    ]
    return _section("work", "Who did the work, and what it cost", "", content)


def _trials(found: Found) -> Section:
    return _section("trials", "The trials", "", [tables.trials(found)])
