"""The report as a file: what it says, what it does not let in, and that every kind of study has one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hpo import report
from hpo import study as studies
from hpo.evaluation.plan import sibling
from hpo.plots import COLORS, Points
from hpo.report import Page, gather, hyperparameters, page, search, tables
from hpo.settings import Times
from hpo.space import Fixed, Space
from hpo.store import Claims, Store, give
from hpo.trial import Cause, Epoch, Result
from tests.cli.run import call
from tests.report.made import EVIL, evaluate, fill, study, undecided
from tests.support import SPACES, claimed, completed, copies, definition, open_store, record


class Elements(HTMLParser):
    """The elements of a page, and its text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._skip = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element."""
        self.names.append(tag)
        self.attributes += attrs
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        """The end of what is not text."""
        self._skip -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        """Notes a text."""
        if not self._skip:
            self.text += f" {data}"

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return re.sub(r"\s+", " ", self.text)


@dataclass(frozen=True)
class Evaluated:
    """A study of 40 trials with an evaluation, and its report as pictures."""

    store: Store
    artifacts: Path
    page: Page
    shown: Elements


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluated]:
    """Made once for these tests."""
    folder = tmp_path_factory.mktemp("evaluated")
    with Store(f"sqlite:///{folder / 'hpo.db'}", create=True) as store:
        record = study(store)
        fill(store, record, folder, 40)
        evaluate(store, record)
        made = page(gather(store, "s", copies(folder)), interactive=False)
        yield Evaluated(store, folder, made, Elements(made.html))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty database."""
    return open_store(tmp_path)


def written(store: Store, artifacts: Path, **options: bool) -> Elements:
    """The report of the study, as pictures."""
    return Elements(page(gather(store, "s", copies(artifacts), **options), interactive=False).html)


def test_the_first_screen_is_the_answer(evaluated: Evaluated) -> None:
    """Of an evaluated study: the test score with its interval, the winner, the verdicts, the sentences."""
    text = evaluated.shown.words
    first = text[: text.index("What came out")]
    best = evaluated.store.status("s").best
    assert best is not None
    assert "accuracy on the test part 95 % interval" in first
    assert f"winner trial {best.trial}, lstm validation 0.9000 ± 0.0100 over 3 fresh seeds" in first
    assert re.search(r"against the best baseline, MiniRocket: 0.\d{4} better by \+0.\d{4}, 95.% interval", first)
    assert "the test part was opened once" in first
    assert "The test part was opened once, for this." in first
    for title in ("What it gets right and wrong", "Class by class", "Group by group", "Confusion matrix", "History"):
        assert title in text


def test_every_text_of_the_study_is_shown_as_it_is(evaluated: Evaluated) -> None:
    """Names of data, classes and versions, last words of trials: none of them becomes an element or leaves a script."""
    for interactive in (False, True):
        html = page(gather(evaluated.store, "s", copies(evaluated.artifacts), names=True), interactive=interactive).html
        found = Elements(html)
        assert "img" not in found.names
        assert found.names.count("script") == (3 if interactive else 1)
        assert not [name for name, _ in found.attributes if name.startswith("on")]
        assert f"node{EVIL}, pid 7" in found.text
        assert f"ValueError: {EVIL}" in found.text
        assert EVIL not in html
        assert "[b]move[/b]" in found.text


def test_nothing_may_be_loaded(evaluated: Evaluated) -> None:
    """No address of anything stands in an attribute, and the policy forbids all but the page's own scripts."""
    attributes = evaluated.shown.attributes
    assert all((value or "").startswith("#") for name, value in attributes if name == "href")
    assert not [name for name, _ in attributes if name in ("src", "srcset", "style", "action")]
    policy = next(value for name, value in attributes if name == "content" and "default-src" in (value or ""))
    assert re.fullmatch(
        "default-src 'none'; script-src 'sha256-[A-Za-z0-9+/=]{44}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'",
        policy or "",
    )


def test_names_stay_behind(evaluated: Evaluated) -> None:
    """Machines and users are left out unless they are asked for."""
    assert "node" not in evaluated.shown.text
    assert "me@here" not in evaluated.shown.text
    assert "worker 1" in evaluated.shown.text


def test_every_picture_has_a_text(evaluated: Evaluated) -> None:
    """Each figure says in words what is to be seen, each table has a caption, headings do not skip a level."""
    html = evaluated.page.html
    said = re.findall(r"<svg [^>]*><title id=[^>]*>[^<]+</title>", html)
    assert evaluated.page.figures == html.count("<figure") == html.count("<svg") == len(said)
    assert evaluated.page.tables + 2 == html.count("<table") == html.count("<caption>")  # and hashes and versions
    levels = [int(level) for level in re.findall(r"<h(\d)", html)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(set(ids)) == len(ids)


def test_the_study_file_in_it_makes_the_same_study(evaluated: Evaluated, tmp_path: Path) -> None:
    """Saved as a file and read, it is the definition that the study was created with."""
    text = evaluated.shown.text
    toml = text[text.index('name = "s"') : text.index("Written by")]
    (tmp_path / "study.toml").write_text(toml)
    assert studies.digest(studies.load(tmp_path / "study.toml")) == evaluated.store.study("s").digest


def test_the_command_writes_one_file(evaluated: Evaluated, tmp_path: Path) -> None:
    """Whole or not at all, over an old one; with --json it says what it is made of; --static needs no plotly."""
    places: list[str | Path] = ["--storage", evaluated.store.url, "--artifacts", evaluated.artifacts]
    file = tmp_path / "r.html"
    file.write_text("old")
    run = call("report", "s", "-o", file, "--static", "--json", *places)
    assert run.code == 0, run.err
    said: dict[str, Any] = run.json()
    assert said["bytes"] == file.stat().st_size < 400_000
    assert (said["trials"], said["interactive"], said["evaluated"]) == (42, False, True)
    assert (said["figures"], said["tables"]) == (evaluated.page.figures, evaluated.page.tables)
    assert f"wrote {file}" in run.err
    assert call("report", "s", "-o", tmp_path / "no" / "r.html", *places).code == 2


def test_without_an_evaluation_it_promises_nothing(store: Store, tmp_path: Path) -> None:
    """The best of the search, with the word that it is too good, and what the best trial got wrong on validation.

    Curves that were cut cost their figures and nothing else.
    """
    fill(store, study(store), tmp_path, 20)
    for file in (tmp_path / "s").rglob("curves.json"):
        file.write_text('{"folds": [[')
    text = written(store, tmp_path).words
    assert "on validation, the best of the search" in text
    assert "so the score is too good. hpo evaluate s says what it is worth." in text
    assert "which chose this trial: expect less on new data" in text
    assert "on the test part" not in text
    assert "History" in written(store, tmp_path / "elsewhere").text


def test_scores_of_refits_are_no_validation_scores(store: Store, tmp_path: Path) -> None:
    """Where no part was held out, every figure and table says that the model has seen what it was scored on."""
    parent = study(store)
    give(store, sibling(parent, "refit"), [], spaces=SPACES, data=parent.data, versions={})
    fill(store, store.study("s/refit"), tmp_path, 3)
    made = page(gather(store, "s/refit", copies(tmp_path)), interactive=False)
    text, _, reproduced = Elements(made.html).words.rpartition("How to reproduce it")
    assert reproduced
    assert "On data that the model has seen: no part was held out to score a refit" in text
    assert "Class by class, on data that the model has seen, trial 0" in text
    assert re.findall(".{30}validation.{30}", text, re.IGNORECASE) == []


@pytest.mark.parametrize("kind", ["empty", "running", "pruned", "failed", "several metrics", "fixed"])
def test_every_kind_of_study_has_a_report(store: Store, tmp_path: Path, kind: str) -> None:
    """Empty, at work, without a completed trial, with several metrics, with nothing to search."""
    text = _of_kind(store, tmp_path, kind)
    assert "How to reproduce it" in text
    said = {
        "empty": "No trial has completed yet",
        "running": "running",
        "pruned": "No trial completed (3 pruned)",
        "failed": "ZeroDivisionError: once",
        "several metrics": "Pareto front",
        "fixed": "nothing searched",
    }
    assert said[kind] in text


def _of_kind(store: Store, folder: Path, kind: str) -> str:
    if kind == "several metrics":
        several = study(store, train={"metric": ["accuracy", "parameters"]}, search={"pruner": "none"})
        fill(store, several, folder, 20)
        return written(store, folder).words
    spaces: dict[str, Space] = {"lstm": {n: Fixed(default=domain.default) for n, domain in SPACES["lstm"].items()}}
    made = definition(search={"sampler": "random", "pruner": "none", "duplicates": "reseed"})
    store.create(made, spaces=spaces if kind == "fixed" else SPACES, data=record(), versions={})
    claims = Claims(store, "s", "w", Times())
    claims.roster.join(host="h", pid=1, slots=1, lease=60.0)
    results = {
        "pruned": [Result(cause=Cause.PRUNED, epochs=1)] * 3,
        "failed": [Result(cause=Cause.BUG, detail="Traceback\nZeroDivisionError: once")],
        "fixed": [completed(0.5)],
    }
    for result in results.get(kind, []):
        claim = claimed(claims)
        claims.report(claim, Epoch(fold=0, epoch=0, step=0, value=0.2, seconds=0.1, logs={}))
        claims.finish(claim, result)
    if kind == "running":
        claims.finish(claimed(claims), completed(0.5))
        claimed(claims)
        claims.release(claimed(claims), lost=True)
    return written(store, folder).words


def test_a_long_study_is_thinned_and_says_so(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and tables have a limit; the best trials are always among those that are shown."""
    monkeypatch.setattr("hpo.report.tables.MOST_ROWS", 20)
    monkeypatch.setattr("hpo.report.search.MOST_POINTS", 30)
    fill(store, study(store), tmp_path, 40)
    text = written(store, tmp_path).words
    assert re.search(r"Shown are \d+ of 40 trials", text)
    assert "20 of 42 trials; hpo export s --format csv writes all." in text


@pytest.mark.parametrize("metric", ["accuracy", "loss", ["loss", "parameters"]], ids=str)
def test_better_is_what_the_metric_says(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str | list[str]
) -> None:
    """Less is better of a loss: which trials are shown, where those without a score lie, who leads, who is dark."""
    for limit in ("search.MOST_POINTS", "hyperparameters.MOST_LINES"):
        monkeypatch.setattr(f"hpo.report.{limit}", 60)
    pruner = "none" if isinstance(metric, list) else "median"
    fill(store, study(store, train={"metric": metric}, search={"pruner": pruner}), tmp_path, 200)
    found = gather(store, "s", copies(tmp_path))
    done = [one for one in found.trials if one.completed]
    rank = [one.number for one in sorted(done, key=lambda one: one.value, reverse=metric == "accuracy")]
    worst, best = found.trials[rank[-1]].value, found.trials[rank[0]].value

    shown, said = search.thinned(found, done)
    assert {*rank[:15]} <= {one.number for one in shown}
    assert not {*rank[-15:]} <= {one.number for one in shown}
    assert said == f"Shown are {len(shown)} of {len(done)} trials."

    history = {layer.name: layer for layer in search.history(found).layers if isinstance(layer, Points)}
    (floor,) = {*history["no score"].y}
    low, high = search.history(found).ends("y")
    assert abs(floor - worst) < abs(floor - best)
    assert low <= floor <= high
    assert history["best so far"].y[-1] == best
    assert f"reached by trial {rank[0]}" in search.history(found).alt

    families = search.by_family(found)
    assert families.y.categories[0] == found.trials[rank[0]].family
    assert f"has the best trial, {best:.4f}" in families.alt
    drawn = [n for layer in families.layers if isinstance(layer, Points) for n in layer.trials]
    assert len(drawn) <= 60
    assert {*rank[:15]} <= {*drawn}

    parallel = hyperparameters.parallel(found)
    assert parallel is not None
    fifths = [{*layer.trials} for layer in parallel.layers if isinstance(layer, Points)]
    assert {*rank[:15]} <= fifths[-1] <= {*rank[: len(rank) // 5 + 1]}
    assert fifths[0] <= {*rank[-len(rank) // 5 :]}
    assert f"trial {rank[0]}, ends at {best:.4f}" in parallel.alt
    assert any(f"trial {rank[0]}, has" in figure.alt for figure in hyperparameters.slices(found))


@pytest.mark.parametrize("lacking", ["score", "interval"])
def test_what_an_evaluation_cannot_say(store: Store, tmp_path: Path, lacking: str) -> None:
    """A test part without a score, or without an interval: the report is written, says so, and holds no NaN."""
    metric = "auroc" if lacking == "score" else "accuracy"
    record = study(store, train={"metric": metric})
    fill(store, record, tmp_path, 20)
    evaluate(store, record, **undecided(lacking, metric))
    places = ["--storage", store.url, "--artifacts", str(tmp_path)]
    run = call("report", "s", "-o", tmp_path / "r.html", *places, *(["--static"] if lacking == "interval" else []))
    assert run.code == 0, run.err
    html = (tmp_path / "r.html").read_text()
    shown = Elements(html)
    first = shown.words[: shown.words.index("What came out")]
    words = {
        "score": "The test part has no auroc, so there is no score that counts.",
        "interval": "1.0000 accuracy on the test part no interval, over 4 groups and 3 seeds",
    }
    assert words[lacking] in first
    assert re.search("against the best baseline, [^:]*: (-|0.5000) cannot be said (by .0.5000, )?no interval", first)
    assert ("whether chance explains it cannot be said" in first) == (lacking == "interval")
    assert "Whether the first one is better than the second cannot be said." in html
    drawn = re.search('<script type="application/json" id="figures">(.*?)</script>', html, re.S)
    assert (drawn is None) == (lacking == "interval")
    for text in (shown.words, *re.findall("<title[^>]*>([^<]*)", html), drawn[1] if drawn else ""):
        assert not re.search(r"\b(nan|NaN|None|inf|Infinity)\b", text)


def test_the_split_is_told_by_what_has_an_effect(store: Store, tmp_path: Path) -> None:
    """Where the data say who is held out, there is no share to name, and chance decides the stopping part only."""
    kinds: list[tuple[dict[str, Any], int, str]] = [
        ({"by": "group", "validation": 0.3}, 1, "by group, 30% held out, seed 0"),
        (
            {"by": "group", "repeats": 3, "stopping": 0.1},
            3,
            "by group, 20% held out 3 times, seed 0, stopping part 10%",
        ),
        ({"by": "stratified", "folds": 5, "repeats": 2}, 10, "by stratified, 10 folds, seed 0"),
        ({"by": "predefined"}, 1, "by predefined, 1 fold"),
        ({"by": "predefined", "stopping": 0.1, "seed": 4}, 2, "by predefined, 2 folds, seed 4, stopping part 10%"),
    ]
    for number, (split, folds, words) in enumerate(kinds):
        name, data = f"s{number}", record().model_copy(update={"folds": folds})
        store.create(definition(name, split=split), spaces=SPACES, data=data, versions={})
        rows = tables.asked(gather(store, name, copies(tmp_path))).rows
        assert [row[1].text for row in rows if row[0].text == "split"] == [words]


def test_colors_are_told_from_their_ground() -> None:
    """By day and by night: 4.5 to 1 for texts and links, 3 to 1 for what is drawn (WCAG 2.1, 1.4.3 and 1.4.11)."""
    style = (Path(report.__file__).parent / "page.css").read_text()
    palettes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root {(.*?)}", style, re.S)
    ]
    assert len(palettes) == 3  # day, night, paper
    for palette in palettes:
        for ground in ("ground", "raised"):
            for name in ("text", "soft", "blue"):
                assert contrast(palette[name], palette[ground]) >= 4.5, (name, palette)
        for name in COLORS:
            assert contrast(palette[name], palette["ground"]) >= 3, (name, palette)


def contrast(one: str, other: str) -> float:
    """Of two colors, as WCAG 2.1 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
