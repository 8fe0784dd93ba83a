"""Study files that say something wrong: each mistake is named with its key, and all of them come at once."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from hpo.errors import StudyFileError
from hpo.study import MAX_BYTES, load
from tests.study.files import REMOVE, SHORTEST, changed, file_text, problems_of

WRONG_NAME = "name: got {} (text); accepted: 1 to 64 of a-z"
ENTRY = "accepted: a value, a list of choices, { low, high, log, step, when }"
MISTAKES: list[tuple[Mapping[str, object], str]] = [
    # names
    ({"name": "Har"}, WRONG_NAME.format("'Har'")),
    ({"name": "a/b"}, WRONG_NAME.format("'a/b'")),
    ({"name": "a/evaluate"}, "name: got 'a/evaluate' (text); such names are hpo's own, for what it puts beside"),
    ({"name": "-a"}, WRONG_NAME.format("'-a'")),
    ({"name": ""}, WRONG_NAME.format("''")),
    ({"name": "a\n"}, WRONG_NAME.format(r"'a\n'")),
    ({"name": "a" * 65}, "name: got 'aaaa"),
    ({"name": 3}, "name: got 3 (whole number); accepted: 1 to 64"),
    # tables and keys
    ({"name": REMOVE}, "name: is missing; accepted: 1 to 64"),
    ({"data": REMOVE}, "data: is missing; accepted: a table [data]"),
    ({"budget": REMOVE}, "budget: is missing; accepted: a table [budget]"),
    ({"split/by": REMOVE}, "split.by: is missing; accepted: 'group' (no subject lies in two parts), 'stratified'"),
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
    ({"data/source": 3}, "data.source: got 3 (whole number); accepted: the name of a module in hpo/data"),
    ({"data": {"name": "x"}}, "data.source: is missing; accepted: the name of a module in hpo/data"),
    ({"data": "uci_har"}, "data: got 'uci_har' (text); accepted: a table [data]"),
    ({"data/path": "x"}, "data.path: unknown key of source 'bundled'; known: missing, name, source"),
    ({"data": {"source": "uci_har"}}, 'data.path: is missing; accepted: the folder "UCI HAR Dataset"'),
    (
        {"data": {"source": "uci_har", "path": "x", "nam": "y"}},
        "data.nam: unknown key of source 'uci_har'; known: missing, path, source",
    ),
    ({"data": {"source": "ucr", "path": ""}}, "data.path: got '' (text); accepted: a folder with NAME_TRAIN"),
    # split
    ({"split/by": "subject"}, "split.by: got 'subject' (text); known: group, leave-one-group-out, predefined, strat"),
    ({"split/by": "predefined", "split/folds": 2}, "split.folds: has no effect with by = 'predefined'"),
    ({"split/by": "leave-one-group-out", "split/repeats": 2}, "split.repeats: has no effect with by = 'leave-one-g"),
    ({"split/by": "predefined", "split/validation": 0.2}, "split.validation: has no effect with by = 'predefined'"),
    ({"split/folds": 0}, "split.folds: got 0 (whole number); accepted: a whole number from 1"),
    ({"split/folds": 3, "split/validation": 0.2}, "split.validation: has no effect with 3 folds"),
    ({"split/repeats": 0}, "split.repeats: got 0 (whole number); accepted: a whole number from 1"),
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
    ({"space/lstm": 8}, "space.lstm: got 8 (whole number); accepted: a table of entries for this family alone"),
    ({"space/lstm": {"units": []}}, "space.lstm.units: the list of choices is empty; give it at least one value"),
    ({"space/lstm": {"units": {"low": 8, "high": 4}}}, "space.lstm.units: low is 8, which is greater than high, 4"),
    ({"space/lstm": {"units": {"low": 8}}}, "space.lstm.units.high: is missing; accepted: a finite number"),
    ({"space/lstm": {"units": {"value": 8, "when": 3}}}, "space.lstm.units.when: got 3 (whole number); accepted: a"),
    (
        {"space/lstm": {"units": {"value": 8, "wen": 3}}},
        "space.lstm.units.wen: unknown key; did you mean 'when'? known",
    ),
    ({"space/lstm": {"units": {}}}, "space.lstm.units: got {} (table); " + ENTRY),
    # search
    ({"search/sampler": "tpee"}, "search.sampler: unknown sampler 'tpee'; did you mean 'tpe'? known: "),
    ({"search/sampler": 3}, "search.sampler: got 3 (whole number); accepted: the name of a module in hpo/samplers"),
    ({"search/sampler": "gp"}, "search.sampler: sampler 'gp' is known, but not built yet; known: "),
    ({"search/pruner": "medan"}, "search.pruner: unknown pruner 'medan'; did you mean 'median'? known: hyperband"),
    ({"search/pruner": {"name": "medan"}}, "search.pruner: unknown pruner 'medan'; did you mean 'median'? known: "),
    ({"search/pruner": 5}, "search.pruner: got 5 (whole number); accepted: a pruner's name, or a table"),
    ({"search/pruner": {"name": 5}}, "search.pruner.name: got 5 (whole number); accepted: the name of a module in"),
    ({"search/pruner": {"min_epochs": 3}}, "search.pruner.name: is missing; accepted: the name of a module in"),
    ({"search/pruner": {"name": "none", "min_epochs": 3}}, "search.pruner.min_epochs: has no effect with the pruner"),
    (
        {"search/pruner": {"name": "median", "min_epochs": 0}},
        "search.pruner.min_epochs: got 0 (whole number); accepted",
    ),
    (
        {"search/pruner": {"name": "median", "min_epochs": 9}, "train/max_epochs": 9},
        "search.pruner.min_epochs: got 9 (whole number); accepted: less than train.max_epochs, 9",
    ),
    ({"search/duplicates": "skipp"}, "search.duplicates: got 'skipp' (text); did you mean 'skip'? known: reseed, skip"),
    # train
    ({"train/metric": "acuracy"}, "train.metric: unknown metric 'acuracy'; did you mean 'accuracy'"),
    ({"train/metric": []}, "train.metric: got [] (list); accepted: one of accuracy, "),
    ({"train/metric": 3}, "train.metric: got 3 (whole number); accepted: one of accuracy, "),
    ({"train/metric": ["loss", 3]}, "train.metric: got 3 (whole number); accepted: one of accuracy, "),
    ({"train/metric": ["loss", "x"]}, "train.metric: unknown metric 'x'; known: accuracy, auroc, balanced_accuracy, "),
    ({"train/metric": "parameters"}, "train.metric: got 'parameters' first; the first one stops the epochs, so it has"),
    ({"train/metric": ["loss", "loss"]}, "train.metric: got ['loss', 'loss'] (list); every metric counts once"),
    (
        {"train/metric": ["loss", "auroc"], "search/pruner": {"name": "median"}},
        "search.pruner: got 'median' (text); with several metrics in train.metric no trial is pruned, because",
    ),
    ({"train/max_epochs": "sixty"}, "train.max_epochs: got 'sixty' (text); accepted: a whole number from 1"),
    ({"train/max_epochs": True}, "train.max_epochs: got true (boolean); accepted: a whole number from 1"),
    ({"train/max_epochs": 60.0}, "train.max_epochs: got 60.0 (decimal number); accepted: a whole number from 1"),
    ({"train/patience": 0}, "train.patience: got 0 (whole number); accepted: a whole number from 1"),
    ({"train/optimizer": "AdamW"}, "train.optimizer: got 'AdamW' (text); did you mean 'adam' or 'adamw'? known"),
    ({"train/scaling": False}, "train.scaling: got false (boolean); accepted: 'channel', 'sample' or 'none'"),
    ({"train/threads": 0}, "train.threads: got 0 (whole number); accepted: a whole number from 1"),
    ({"train/stall_minutes": float("inf")}, "train.stall_minutes: got inf (decimal number); accepted: a finite number"),
    ({"train/augment": 1}, "train.augment: unknown key; known: "),
    *(
        ({f"train/{key}": 1}, f"train.{key}: is a hyperparameter; it belongs into [space]: {key} = ")
        for key in ("learning_rate", "ema", "jitter")
    ),
    ({"notify/webhook": "x"}, "notify.webhook: unknown key; did you mean 'webhook_env' or 'webhook_file'?"),
    (
        {"notify/webhook_env": "SLACK"},
        "notify.webhook_env: got 'SLACK' (text); accepted: the name of a variable",
    ),
    ({"notify/on": ["end"]}, "notify.on: got 'end' (text); "),
    ({"notify/email_to": ["a b@c"]}, "notify.email_to: got 'a b@c'; accepted: a list of addresses"),
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
    (problem,) = problems_of(tmp_path, changed(SHORTEST, changes))
    assert message in problem
    assert problem.startswith(message.split(":")[0]) or message.startswith((";", "greater"))
    assert not re.search(r"[Ii]nput should|pydantic|validation error|Extra inputs|Value error", problem)


def test_dates_are_no_values(tmp_path: Path) -> None:
    """TOML knows dates; no key takes one."""
    (problem,) = problems_of(tmp_path, f"space.units = 2026-01-01\n{file_text(SHORTEST)}")
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
    problems = problems_of(tmp_path, changed(SHORTEST, changes))
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
