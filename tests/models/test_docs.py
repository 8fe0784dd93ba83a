"""docs/models.md against the code: every table row of a hyperparameter is what the default space says."""

from pathlib import Path

import pytest

from hpo import models
from hpo.space import Domain, Space, describe
from hpo.training import TRAINING

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")


# A family works without a section; one that has a section has to be described as it is.
DESCRIBED = [name for name in models.family_names() if f"\n## {name}\n" in PAGE]


def limits(domain: Domain) -> str:
    """What a study file may set, in a few words; empty where any value of the kind will do."""
    if domain.allowed is not None:
        return ", ".join(str(value) for value in domain.allowed)
    if domain.at_least is None:
        return ""
    return f"{domain.at_least:g} or more" if domain.at_most is None else f"{domain.at_least:g} to {domain.at_most:g}"


def rows(space: Space) -> list[list[str]]:
    """Name, default, searched range and limits of each hyperparameter, booleans as TOML writes them."""
    cells = [[f"`{name}`", str(d.default), describe(d), limits(d)] for name, d in space.items()]
    return [[cell.replace("True", "true").replace("False", "false") for cell in row] for row in cells]


def table(heading: str) -> list[list[str]]:
    """The first four cells of each row of the first table under a heading of docs/models.md."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.split("|")[1:5]] for line in lines]


@pytest.mark.parametrize("family", DESCRIBED)
def test_page_has_the_space_of_a_family(family: str) -> None:
    """The section of a family has a table that lists its hyperparameters with defaults, ranges and limits."""
    assert table(family) == rows(models.get(family).SPACE)


def test_page_has_the_training_space() -> None:
    """The section on training lists the shared hyperparameters."""
    assert table("Training") == rows(TRAINING)


@pytest.mark.parametrize("family", DESCRIBED)
def test_page_says_which_families_train_differently(family: str) -> None:
    """The sentence on recurrent families holds for those it names, and the others override nothing."""
    paragraph = next(p for p in PAGE.split("\n\n") if p.startswith("The recurrent families"))
    expected = (
        {"learning_rate": "0.0001 to 0.005, log", "clipnorm": "1.0 (fixed)"} if f"`{family}`" in paragraph else {}
    )
    assert {name: describe(domain) for name, domain in models.training(family).items()} == expected
