"""docs/study-files.md against the code: its example, its tables of keys and defaults, its lists of names."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from hpo.data import SourceOptions, uci_har
from hpo.scores import OBJECTIVES
from hpo.study import StudyDef, load
from hpo.study_file import Budget, Model, Search, Split, Train
from hpo.study_space import Choices, Range, Value
from hpo.study_table import keys
from hpo.training import TRAINING
from tests.study.files import EXAMPLE, PAGE, SHORTEST, file_text, write


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """The complete example is read, value for value."""
    definition = load(write(tmp_path, EXAMPLE))
    assert definition == StudyDef(
        name="har-conv-lstm",
        data=uci_har.Options(path="data/UCI HAR Dataset"),
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
        train=Train.model_validate({"metric": "balanced_accuracy"}),
        budget=Budget(trials=60, hours=2.0, trial_minutes=30.0, gpu_hours=8.0),
    )


def _documented(table: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key and default of everything that a file may hold, as the page writes them."""
    for name, field in keys(table).items():
        if name == "data":  # a source's own keys stand in docs/sources.md
            yield from _documented(SourceOptions, "data.")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            if name == "pruner":
                yield f"{prefix}{name}", json.dumps(Search().pruner.name)
            yield from _documented(field.annotation, f"{prefix}{name}.")
        elif name != "space":
            default = "none" if field.default is None else json.dumps(field.default, default=str)
            default = json.dumps(field.default[0]) if name == "metric" else default
            yield f"{prefix}{name}", "required" if field.is_required() else default


def test_the_page_lists_every_key_with_its_default() -> None:
    """The documentation's table has exactly the keys of the schema, with their defaults."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert rows == list(_documented(StudyDef))


def test_the_page_names_every_metric_and_training_hyperparameter() -> None:
    """Lists of names in the documentation are complete."""
    for name in (*OBJECTIVES, *TRAINING):
        assert f"`{name}`" in PAGE


def test_the_forms_of_the_page_are_read(tmp_path: Path) -> None:
    """Every form of a space entry in the documentation is one."""
    forms = re.findall(r"^\| `(\w+ = .+?)` \|", PAGE, re.MULTILINE)
    assert len(forms) == 6
    for form in forms:
        text = f"{file_text(SHORTEST)}[space]\n{form}\n"
        assert load(write(tmp_path, text)).space


def test_defaults(tmp_path: Path) -> None:
    """The shortest file has the documented defaults; a byte-order mark does no harm."""
    path = write(tmp_path, SHORTEST)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    definition = load(path)
    assert definition.space == {}
    assert (definition.split.folds, definition.split.validation, definition.split.stopping) == (1, 0.2, 0.0)
    assert (definition.search.sampler, definition.search.pruner.name, definition.search.pruner.min_epochs) == (
        "tpe", "hyperband", 5,
    )  # fmt: skip
    assert definition.train.model_dump(by_alias=True) == {
        "metric": "accuracy", "max_epochs": 60, "patience": 10, "optimizer": "adamw", "scaling": "channel",
        "triples": False, "threads": 1, "stall_minutes": 10.0,
    }  # fmt: skip
    assert definition.budget == Budget(trials=1, retries=3, max_consecutive_failures=5)
