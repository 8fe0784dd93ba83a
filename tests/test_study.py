"""Study files: what is refused and how it is worded, what is stored, what may change under an old name."""

import copy
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hpo.errors import StudyFileError
from hpo.folders import names
from hpo.scores import METRICS
from hpo.study import MAX_BYTES, StudyDef, differences, digest, from_json, load, to_json
from hpo.study_file import Budget, Choices, Data, Model, Range, Search, Split, Train, Value
from hpo.training import TRAINING

PAGE = (Path(__file__).parent.parent / "docs" / "study-files.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.split("```toml\n")[1].split("```")[0]
SHORTEST: dict[str, Any] = {
    "name": "a",
    "data": {"source": "bundled", "name": "BasicMotions"},
    "split": {"by": "stratified"},
    "model": {"family": "lstm"},
    "budget": {"trials": 1},
}
REMOVE = object()
PLACES = [
    "name", "data", "data/source", "data/path", "split", "split/by", "split/folds", "model", "model/family", "space",
    "space/units", "space/lstm", "search", "search/sampler", "search/pruner", "train", "train/metric",
    "train/max_epochs", "budget", "budget/trials", "budget/hours", "notify", "x",
]  # fmt: skip


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value)
        case Mapping():
            return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return str(value)


def _text(raw: Mapping[str, object]) -> str:
    return "".join(f"{json.dumps(k)} = {_toml(v)}\n" for k, v in raw.items())


def _write(folder: Path, raw: Mapping[str, object] | str) -> Path:
    path = folder / "study.toml"
    path.write_text(raw if isinstance(raw, str) else _text(raw), encoding="utf-8")
    return path


def _changed(raw: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """A copy of `raw` with dotted keys set or removed."""
    new = copy.deepcopy(dict(raw))
    for key, value in changes.items():
        *tables, last = key.split("/")
        table = new
        for name in tables:
            if not isinstance(table.get(name), dict):
                table[name] = {}
            table = table[name]
        if value is REMOVE:
            del table[last]
        else:
            table[last] = value
    return new


def _problems(folder: Path, raw: Mapping[str, object] | str) -> tuple[str, ...]:
    with pytest.raises(StudyFileError) as caught:
        load(_write(folder, raw))
    assert caught.value.exit_code == 2
    assert "study.toml" in str(caught.value)
    return caught.value.problems


WRONG_NAME = "name: got {} (text); accepted: 1 to 64 of a-z"
ENTRY = "accepted: a value, a list of choices, { low, high, log, step, when }"
MISTAKES: list[tuple[Mapping[str, object], str]] = [
    # names
    ({"name": "Har"}, WRONG_NAME.format("'Har'")),
    ({"name": "a/b"}, WRONG_NAME.format("'a/b'")),
    ({"name": "-a"}, WRONG_NAME.format("'-a'")),
    ({"name": ""}, WRONG_NAME.format("''")),
    ({"name": "a\n"}, WRONG_NAME.format(r"'a\n'")),
    ({"name": "a" * 65}, "name: got 'aaaa"),
    ({"name": 3}, "name: got 3 (whole number); accepted: 1 to 64"),
    # tables and keys
    ({"name": REMOVE}, "name: is missing; accepted: 1 to 64"),
    ({"data": REMOVE}, "data: is missing; accepted: a table [data]"),
    ({"budget": REMOVE}, "budget: is missing; accepted: a table [budget]"),
    ({"split/by": REMOVE}, "split.by: is missing; accepted: 'group' (no subject lies in two parts) or 'stratified'"),
    ({"train": 3}, "train: got 3 (whole number); accepted: a table [train]"),
    ({"space": [1]}, "space: got [1] (list); accepted: a table [space]"),
    ({"serch/sampler": "tpe"}, "serch: unknown key; did you mean 'search'? known: budget, data, model"),
    ({"train/patiance": 3}, "train.patiance: unknown key; did you mean 'patience'? known: max_epochs, metric"),
    (
        {"search/pruner": {"name": "median", "epochs": 3}},
        "search.pruner.epochs: unknown key; did you mean 'min_epochs'",
    ),
    ({"a\nb": 3}, r"'a\nb': unknown key; known: budget"),
    # data
    ({"data/source": "uci-har"}, "data.source: unknown source 'uci-har'; did you mean 'uci_har'"),
    ({"data/name": REMOVE}, "data.name: is missing; accepted: the name of a data set that comes with aeon"),
    ({"data/path": "x"}, "data.path: source 'bundled' brings its own files; leave it out and give data.name"),
    ({"data": {"source": "uci_har"}}, "data.path: is missing; accepted: where the files of 'uci_har' lie"),
    ({"data": {"source": "uci_har", "path": "x", "name": "y"}}, "data.name: source 'uci_har' holds one data set"),
    ({"data": {"source": "ucr", "path": ""}}, "data.path: got '' (text); accepted: a path, relative to the study file"),
    # split
    ({"split/by": "subject"}, "split.by: got 'subject' (text); known: group, stratified"),
    ({"split/by": "predefined"}, "split.by: 'predefined' is known, but not built yet; accepted: 'group'"),
    ({"split/folds": 0}, "split.folds: got 0 (whole number); accepted: a whole number from 1"),
    ({"split/folds": 3, "split/validation": 0.2}, "split.validation: has no effect with 3 folds"),
    ({"split/repeats": 2}, "split.repeats: got 2 (whole number); repeated folds are known, but not built yet"),
    ({"split/repeats": 0}, "split.repeats: got 0 (whole number); accepted: 1"),
    ({"split/validation": 0}, "split.validation: got 0 (whole number); accepted: a number above 0, up to 0.5"),
    ({"split/validation": 0.6}, "split.validation: got 0.6 (decimal number); accepted: a number above 0, up to 0.5"),
    ({"split/stopping": 0.5}, "split.stopping: got 0.5 (decimal number); accepted: a number from 0 to less than 0.5"),
    ({"split/seed": -1}, "split.seed: got -1 (whole number); accepted: a whole number from 0 to 4294967295"),
    ({"split/seed": "9" * 80}, "split.seed: got '" + "9" * 57 + "...' (text)"),
    ({"split/seed": int("9" * 80)}, "split.seed: got a huge number (whole number)"),
    # model
    ({"model/family": "convlstm"}, "model.family: unknown family 'convlstm'; did you mean 'conv_lstm'"),
    ({"model/family": ["x1", "lstm", "x2"]}, "model.family: unknown family 'x1'; known: "),
    ({"model/family": ["x1", "lstm", "x2"]}, "; unknown family 'x2'; known: "),
    ({"model/family": []}, "model.family: got [] (list); accepted: a family's name, or a list of different ones"),
    ({"model/family": ["lstm", 3]}, "model.family: got 3 (whole number); accepted: a family's name, or a list"),
    ({"model/family": ["lstm", "lstm"]}, "model.family: got ['lstm', 'lstm'] (list); every family counts once"),
    ({"model/max_parameters": 1e6}, "model.max_parameters: got 1000000.0 (decimal number); accepted: a whole number"),
    # space
    ({"space/units": {"low": 8, "high": 4}}, "space.units: low is 8, which is greater than high, 4"),
    ({"space/units": {"low": 0, "high": 4, "log": True}}, "space.units: low is 0, but a log scale needs low above 0"),
    (
        {"space/units": {"low": 1, "high": 4, "log": True, "step": 2}},
        "space.units: step is 2, but a log scale knows no",
    ),
    (
        {"space/units": {"low": 9, "high": 4, "log": True, "step": 2}},
        "greater than high, 4; step is 2, but a log scale",
    ),
    ({"space/units": {"low": 1}}, "space.units.high: is missing; accepted: a finite number"),
    ({"space/units": {"low": "1", "high": 2}}, "space.units.low: got '1' (text); accepted: a finite number"),
    ({"space/units": {"low": True, "high": 2}}, "space.units.low: got true (boolean); accepted: a finite number"),
    (
        {"space/units": {"low": float("nan"), "high": 2}},
        "space.units.low: got nan (decimal number); accepted: a finite",
    ),
    (
        {"space/units": {"low": 1, "high": float("inf")}},
        "space.units.high: got inf (decimal number); accepted: a finite",
    ),
    (
        {"space/units": {"low": 1, "high": 2, "log": 1}},
        "space.units.log: got 1 (whole number); accepted: true or false",
    ),
    ({"space/units": {"low": 1, "high": 2, "step": 0}}, "space.units.step: got 0 (whole number); accepted: a whole"),
    ({"space/units": {"low": 1, "high": 2, "choices": [1]}}, "space.units.choices: unknown key; known: high, log, low"),
    ({"space/units": {"min": 1, "max": 2}}, "space.units: got { min, max } (table); " + ENTRY),
    ({"space/units": {}}, "space.units: got {} (table); " + ENTRY),
    ({"space/units": float("nan")}, "space.units: got nan (decimal number); " + ENTRY),
    ({"space/units": []}, "space.units: the list of choices is empty; give it at least one value"),
    ({"space/units": [8, 16, 8.0]}, "space.units: got 8.0 (decimal number) twice; every choice counts once"),
    ({"space/units": {"choices": ["a", "a"]}}, "space.units.choices: got 'a' (text) twice; every choice counts once"),
    ({"space/units": [8, [16]]}, "space.units: got [16] (list); " + ENTRY),
    (
        {"space/units": {"value": [8]}},
        "space.units.value: got [8] (list); accepted: a finite number, a text or a boolean",
    ),
    ({"space/units": {"value": 8, "when": 3}}, "space.units.when: got 3 (whole number); accepted: a table of parents"),
    ({"space/units": {"value": 8, "when": {}}}, "space.units.when: is empty; leave it out to keep the family's own"),
    (
        {"space/units": {"value": 8, "when": {"a": []}}},
        "space.units.when.a: got [] (list); accepted: a table of parents",
    ),
    ({"space/lstm": {"units": 8}}, "space.lstm: a table for one family is known, but not built yet"),
    # search
    ({"search/sampler": "tpee"}, "search.sampler: got 'tpee' (text); did you mean 'tpe'? known: random, tpe"),
    ({"search/sampler": 3}, "search.sampler: got 3 (whole number); accepted: 'tpe' or 'random'"),
    *(
        ({"search/sampler": n}, f"search.sampler: '{n}' is known, but not built yet")
        for n in ("qmc", "grid", "cmaes", "gp")
    ),
    ({"search/pruner": "medan"}, "search.pruner: got 'medan' (text); did you mean 'median'? known: hyperband, median"),
    ({"search/pruner": 5}, "search.pruner: got 5 (whole number); accepted: 'median', 'hyperband', 'none', or a table"),
    *(
        ({"search/pruner": form}, "search.pruner: 'wilcoxon' is known, but not built yet; accepted: 'median'")
        for form in ("wilcoxon", {"name": "wilcoxon"})
    ),
    *(
        ({"search/pruner": name}, f"search.pruner: '{name}' is known, but not built yet")
        for name in ("successive-halving", "percentile", "patient")
    ),
    ({"search/pruner": {"min_epochs": 3}}, "search.pruner.name: is missing; accepted: 'median', 'hyperband' or 'none'"),
    ({"search/pruner": {"name": "none", "min_epochs": 3}}, "search.pruner.min_epochs: has no effect with the pruner"),
    (
        {"search/pruner": {"name": "median", "min_epochs": 0}},
        "search.pruner.min_epochs: got 0 (whole number); accepted",
    ),
    (
        {"search/pruner": {"name": "median", "min_epochs": 9}, "train/max_epochs": 9},
        "search.pruner.min_epochs: got 9 (whole number); accepted: less than train.max_epochs, 9",
    ),
    ({"search/duplicates": "skip"}, "search.duplicates: 'skip' is known, but not built yet; accepted: 'reseed'"),
    # train
    ({"train/metric": "acuracy"}, "train.metric: unknown metric 'acuracy'; did you mean 'accuracy'"),
    (
        {"train/metric": ["loss", "auroc"]},
        "train.metric: got ['loss', 'auroc'] (list); several metrics are known, but not",
    ),
    ({"train/metric": []}, "train.metric: got [] (list); accepted: one of accuracy, "),
    ({"train/max_epochs": "sixty"}, "train.max_epochs: got 'sixty' (text); accepted: a whole number from 1"),
    ({"train/max_epochs": True}, "train.max_epochs: got true (boolean); accepted: a whole number from 1"),
    ({"train/max_epochs": 60.0}, "train.max_epochs: got 60.0 (decimal number); accepted: a whole number from 1"),
    ({"train/patience": 0}, "train.patience: got 0 (whole number); accepted: a whole number from 1"),
    ({"train/optimizer": "AdamW"}, "train.optimizer: got 'AdamW' (text); did you mean 'adam' or 'adamw'? known"),
    ({"train/scaling": False}, "train.scaling: got false (boolean); accepted: 'channel', 'sample' or 'none'"),
    ({"train/threads": 0}, "train.threads: got 0 (whole number); accepted: a whole number from 1"),
    ({"train/stall_minutes": float("inf")}, "train.stall_minutes: got inf (decimal number); accepted: a finite number"),
    *(
        ({f"train/{key}": 1}, f"train.{key}: known, but not built yet; leave it out")
        for key in ("augment", "augmentation", "ema", "warm_up")
    ),
    ({"notify/url": "x"}, "notify: known, but not built yet; leave it out"),
    # budget
    ({"budget": {}}, "budget: has no end; give trials, hours, or both"),
    ({"budget": {"gpu_hours": 3}}, "budget: has no end; give trials, hours, or both"),
    ({"budget/trials": 0}, "budget.trials: got 0 (whole number); accepted: a whole number from 1"),
    ({"budget/hours": 0}, "budget.hours: got 0 (whole number); accepted: a finite number above 0"),
    ({"budget/hours": float("nan")}, "budget.hours: got nan (decimal number); accepted: a finite number above 0"),
    ({"budget/hours": "2h"}, "budget.hours: got '2h' (text); accepted: a finite number above 0"),
    ({"budget/retries": -1}, "budget.retries: got -1 (whole number); accepted: a whole number from 0"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, changes: Mapping[str, object], message: str) -> None:
    """One wrong key gives exactly one problem, which says what was received and what is accepted."""
    (problem,) = _problems(tmp_path, _changed(SHORTEST, changes))
    assert message in problem
    assert problem.startswith(message.split(":")[0]) or message.startswith((";", "greater"))
    assert not re.search(r"[Ii]nput should|pydantic|validation error|Extra inputs|Value error", problem)


def test_dates_are_no_values(tmp_path: Path) -> None:
    """TOML knows dates; no key takes one."""
    (problem,) = _problems(tmp_path, f"space.units = 2026-01-01\n{_text(SHORTEST)}")
    assert "space.units: got 2026-01-01 (date or time)" in problem


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    """Every mistake of a file is in the one message, those between keys as well."""
    rows: list[dict[str, object]] = [
        {"name": "A"},
        {"data/source": "x"},
        {"split/by": "x"},
        {"split/folds": 2, "split/validation": 0.1},
        {"model/family": "x"},
        {"space/a": [], "space/b": {"low": 2, "high": 1}},
        {"search/sampler": "gp", "search/pruner": {"name": "none", "min_epochs": 1}},
        {"train/metric": "x", "train/ema": 1},
        {"budget": {"retries": -1}},
        {"notify": 1, "what": 2},
    ]
    changes: dict[str, object] = {}
    for row in rows:
        changes |= row
    problems = _problems(tmp_path, _changed(SHORTEST, changes))
    assert [problem.split(":")[0] for problem in problems] == [
        "name", "data.source", "split.by", "model.family", "space.a", "space.b", "search.sampler", "train.metric",
        "train.ema", "budget.retries", "notify", "what", "search.pruner.min_epochs", "split.validation", "budget",
    ]  # fmt: skip
    assert "15 mistakes" in str(StudyFileError("study.toml", problems))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'name = "a"\nfolds 3\n', r"is not valid TOML: .*line 2, column 7"),
        (b'name = "a"\nname = "b"\n', r"is not valid TOML: .*line 2"),
        (b"a = " + b"[" * 20_000, "is not valid TOML: tables or lists lie too deep in each other"),
        (b"seed = " + b"9" * 5_000, "is not valid TOML: .*digits"),
        (b'name = "a"\nb = "\xff"', "line 2 is not UTF-8; save the file with that encoding"),
        (b"#" * (MAX_BYTES + 1), "the file is larger than 1 MiB"),
        (b"", "name: is missing"),
    ],
)
def test_what_is_no_study_file(tmp_path: Path, content: bytes, message: str) -> None:
    """Malformed TOML is refused with line and column, other encodings with the line, large files unread."""
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(StudyFileError, match=message):
        load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are refused by name."""
    with pytest.raises(StudyFileError, match=r"none\.toml: 1 mistake\n  - there is no such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(StudyFileError, match="the file cannot be read: Is a directory"):
        load(tmp_path)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """The complete example is read, value for value."""
    definition = load(_write(tmp_path, EXAMPLE))
    assert definition == StudyDef(
        name="har-conv-lstm",
        data=Data(source="uci_har", path="data/UCI HAR Dataset"),
        split=Split(by="group"),
        model=Model(family=("conv_lstm",), max_parameters=2_000_000),
        space={
            "filters": Range(low=16, high=128, log=True),
            "kernel_size": Choices(choices=(3, 5, 7)),
            "dropout": Value(value=0.5),
            "recurrent_dropout": Range(low=0.0, high=0.3, when={"layers": (1,)}),
            "learning_rate": Range(low=1e-4, high=1e-2, log=True),
        },
        search=Search(),
        train=Train(metric="balanced_accuracy"),
        budget=Budget(trials=60, hours=2.0, trial_minutes=30.0, gpu_hours=8.0),
    )


def _documented(table: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key and default of everything that a file may hold, as the page writes them."""
    for name, field in table.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            if name == "pruner":
                yield f"{prefix}{name}", json.dumps(field.default.name)
            yield from _documented(field.annotation, f"{prefix}{name}.")
        elif name != "space":
            default = "none" if field.default is None else json.dumps(field.default, default=str)
            yield f"{prefix}{name}", "required" if field.is_required() else default


def test_the_page_lists_every_key_with_its_default() -> None:
    """The documentation's table has exactly the keys of the schema, with their defaults."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert rows == list(_documented(StudyDef))


def test_the_page_names_every_metric_source_and_training_hyperparameter() -> None:
    """Lists of names in the documentation are complete."""
    for name in (*METRICS, *names("data"), *TRAINING):
        assert f"`{name}`" in PAGE


def test_the_forms_of_the_page_are_read(tmp_path: Path) -> None:
    """Every form of a space entry in the documentation is one."""
    forms = re.findall(r"^\| `(\w+ = .+?)` \|", PAGE, re.MULTILINE)
    assert len(forms) == 6
    for form in forms:
        text = f"{_text(SHORTEST)}[space]\n{form}\n"
        assert load(_write(tmp_path, text)).space


def test_defaults(tmp_path: Path) -> None:
    """The shortest file has the documented defaults; a byte-order mark does no harm."""
    path = _write(tmp_path, SHORTEST)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    definition = load(path)
    assert definition.space == {}
    assert (definition.split.folds, definition.split.validation, definition.split.stopping) == (1, 0.2, 0.0)
    assert (definition.search.sampler, definition.search.pruner.name, definition.search.pruner.min_epochs) == (
        "tpe", "hyperband", 5,
    )  # fmt: skip
    assert definition.train.model_dump() == {
        "metric": "accuracy", "max_epochs": 60, "patience": 10, "optimizer": "adamw", "scaling": "channel",
        "threads": 1, "stall_minutes": 10.0,
    }  # fmt: skip
    assert definition.budget == Budget(trials=1, retries=3, max_consecutive_failures=5)


_finite = st.floats(-1e9, 1e9)
_scalars = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), _finite, st.text("abc", max_size=3))
_choices = st.lists(_scalars, min_size=1, max_size=4, unique_by=lambda v: (isinstance(v, bool), isinstance(v, str), v))
_when: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.dictionaries(
        st.sampled_from(["a", "b"]), st.one_of(_scalars, st.lists(_scalars, min_size=1, max_size=3)), min_size=1
    ).map(lambda when: {"when": when}),
)
_ranges = st.tuples(
    st.integers(1, 99), st.integers(0, 99), st.sampled_from([{}, {"log": True}, {"step": 2}]), _when
).map(lambda t: {"low": t[0], "high": t[0] + t[1]} | t[2] | t[3])
_entries: st.SearchStrategy[Any] = st.one_of(
    _scalars,
    _choices,
    _ranges,
    st.tuples(_scalars, _when).map(lambda t: {"value": t[0]} | t[1]),
    st.tuples(_choices, _when).map(lambda t: {"choices": t[0]} | t[1]),
)
_budgets = st.fixed_dictionaries(
    {"trials": st.integers(1, 999)},
    optional={
        "hours": st.floats(0.01, 99), "trial_minutes": st.integers(1, 99), "gpu_hours": st.floats(0.01, 99),
        "retries": st.integers(0, 9), "max_consecutive_failures": st.integers(1, 9),
    },
)  # fmt: skip
_files = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
        "data": st.sampled_from([
            {"source": "bundled", "name": "BasicMotions"},
            {"source": "uci_har", "path": 'data/"odd" \\ földer'},
            {"source": "ucr", "path": "data", "name": "Earthquakes"},
        ]),
        "split": st.fixed_dictionaries(
            {"by": st.sampled_from(["group", "stratified"])},
            optional={"folds": st.integers(1, 9), "stopping": st.floats(0, 0.49), "seed": st.integers(0, 2**32 - 1)},
        ),
        "model": st.fixed_dictionaries(
            {"family": st.one_of(st.just("lstm"), st.permutations(["lstm", "conv_lstm", "lstm_fcn"]))},
            optional={"max_parameters": st.integers(1, 10**9)},
        ),
        "budget": _budgets,
    },
    optional={
        "space": st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), _entries, max_size=4),
        "search": st.fixed_dictionaries(
            {}, optional={
                "sampler": st.sampled_from(["tpe", "random"]),
                "pruner": st.sampled_from(["median", "none", {"name": "hyperband", "min_epochs": 3}]),
            },
        ),
        "train": st.fixed_dictionaries(
            {}, optional={
                "metric": st.sampled_from(["loss", ["auroc"]]), "max_epochs": st.integers(4, 999),
                "stall_minutes": st.floats(0.1, 99), "optimizer": st.sampled_from(["adam", "adamw"]),
            },
        ),
    },
)  # fmt: skip


@given(_files)
def test_a_stored_study_is_the_one_of_the_file(tmp_path_factory: pytest.TempPathFactory, raw: dict[str, Any]) -> None:
    """Whatever a valid file says survives the way through TOML, JSON and back, with the same digest."""
    definition = load(_write(tmp_path_factory.mktemp("study"), raw))
    again = from_json(to_json(definition))
    assert again == definition
    assert to_json(again) == to_json(definition)
    assert digest(again) == digest(definition)
    assert differences(definition, again) == []


_junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(_scalars, st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["when", "low", "high", "step", "log", "choices", "value", "name", "min_epochs", "lstm", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(PLACES), _junk), min_size=1, max_size=3))
def test_junk_is_refused_in_our_words(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, Any]]) -> None:
    """Whatever stands at any key, the file is read or refused as a study file with mistakes, never anything else."""
    path = _write(tmp_path_factory.mktemp("study"), _changed(SHORTEST, {"space/units": 3} | dict(changes)))
    message = ""
    try:
        load(path)
    except StudyFileError as error:
        message = str(error)
    assert not re.search(r"[Ii]nput should|pydantic|Extra inputs|Value error| 0 mistakes", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "stored study: 1 mistake\n  - is no JSON"),
        ("3", "stored study: 1 mistake\n  - got 3"),
        ('{"new": 1}', "stored study: 6 mistakes"),
    ],
)
def test_a_damaged_record_is_refused(text: str, message: str) -> None:
    """What `to_json` did not write is no stored study."""
    with pytest.raises(StudyFileError, match=message):
        from_json(text)


FREE: list[dict[str, object]] = [
    {"budget/trials": 99},
    {"budget/hours": REMOVE},
    {"budget/retries": 0},
    {"train/stall_minutes": 3},
    {"data/path": "elsewhere"},
]
BOUND: list[tuple[dict[str, object], list[str]]] = [
    ({"name": "b"}, ['name: "har-conv-lstm" -> "b"']),
    ({"split/seed": 1}, ["split.seed: 0 -> 1"]),
    ({"model/family": ["conv_lstm", "lstm"]}, ['model.family: ["conv_lstm"] -> ["conv_lstm", "lstm"]']),
    ({"model/max_parameters": REMOVE}, ["model.max_parameters: 2000000 -> (not set)"]),
    ({"space/filters/high": 256}, ["space.filters.high: 128 -> 256"]),
    ({"space/units": 50}, ["space.units.value: (not set) -> 50"]),
    ({"space/kernel_size": [3, 5]}, ["space.kernel_size.choices: [3, 5, 7] -> [3, 5]"]),
    ({"space/recurrent_dropout/when": {"layers": 2}}, ["space.recurrent_dropout.when.layers: [1] -> [2]"]),
    ({"search/sampler": "random"}, ['search.sampler: "tpe" -> "random"']),
    ({"search/pruner": "none"}, ['search.pruner.name: "hyperband" -> "none"']),
    ({"train/max_epochs": 61}, ["train.max_epochs: 60 -> 61"]),
]


@pytest.mark.parametrize("changes", FREE)
def test_free_keys_leave_the_digest(tmp_path: Path, changes: dict[str, object]) -> None:
    """Budget, patience with a stalled trial and the place of the data may change under an old name."""
    raw = tomllib.loads(EXAMPLE)
    old, new = load(_write(tmp_path, raw)), load(_write(tmp_path, _changed(raw, changes)))
    assert old != new
    assert digest(old) == digest(new)
    assert differences(old, new) == []


@pytest.mark.parametrize(("changes", "shown"), BOUND)
def test_bound_keys_change_the_digest(tmp_path: Path, changes: dict[str, object], shown: list[str]) -> None:
    """Everything else makes another study, and the difference is shown in both directions."""
    raw = tomllib.loads(EXAMPLE)
    old, new = load(_write(tmp_path, raw)), load(_write(tmp_path, _changed(raw, changes)))
    assert digest(old) != digest(new)
    assert differences(old, new) == shown
    assert len(differences(new, old)) == len(shown)


def test_a_default_written_out_is_no_difference(tmp_path: Path) -> None:
    """The order of keys, a default written out and 10 for 10.0 make no other study."""
    plain = load(_write(tmp_path, SHORTEST))
    changes = {
        "train/max_epochs": 60,
        "split/validation": 0.2,
        "train/metric": ["accuracy"],
        "search/pruner": "hyperband",
    }
    written = load(_write(tmp_path, dict(reversed(_changed(SHORTEST, changes).items()))))
    assert digest(plain) == digest(written)
