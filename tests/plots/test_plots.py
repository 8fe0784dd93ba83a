"""Figures: the same value gives a picture and a plot, whatever it holds and whatever its names are."""

import json
import math
import re
from xml.etree import ElementTree

import pytest

from hpo.dashboard.sheet import sheet
from hpo.plots import Axis, Bars, Cells, Figure, Points, Words, focus, picture, plotly
from hpo.plots.interactive import DAY
from hpo.plots.scale import ticks
from hpo.plots.scores import by_class, by_group, confusion
from hpo.plots.training import curves

NASTY = '</svg><script>alert("&")</script>'
CLASSES = ("walking", NASTY, "lying")
MATRIX = [[8, 2, 0], [0, 0, 0], [1, 0, 9]]
SCORES: dict[str, dict[str, float | None]] = {
    name: {"recall": 0.5, "precision": None, "f1": 0.25, "accuracy": 0.5} for name in CLASSES
}
FOLDS: list[list[dict[str, float | None]]] = [
    [{"loss": 1.0, "val_loss": 2.0, "accuracy": None, "val_accuracy": 0.5}, {"loss": 0.5, "val_loss": 1.5}]
]
EVERYTHING = Figure(
    key="everything",
    title=NASTY,
    alt=NASTY,
    x=Axis(NASTY, log=True),
    y=Axis(NASTY, categories=(NASTY, "b"), downwards=True),
    layers=(
        Points(
            (1.0, math.nan, 100.0),
            (0.0, 1.0, 1.0),
            NASTY,
            line="step",
            low=(0.5, 1, math.nan),
            high=(2, 3, 4),
            along="x",
        ),
        Points((1.0, 10.0), (0.0, 1.0), "crosses", "red", mark="cross", trials=(3, 4), faint=True),
        Bars((0.0, 1.0), (1.0, 1.0), (10.0, 50.0), NASTY, "green", texts=(NASTY, ""), hover=(NASTY, ""), striped=True),
        Words((2.0,), (1.0,), (NASTY,), "above"),
    ),
)
FIGURES = [
    EVERYTHING,
    Figure("empty", "empty", "nothing", Axis(), Axis(), ()),
    Figure("one", "one", "a point", Axis(), Axis(), (Points((3.0,), (0.0,)),)),
    confusion(CLASSES, MATRIX, key="confusion", of=NASTY),
    confusion([str(i) for i in range(30)], [[0] * 30] * 30, key="large", of="nothing"),
    by_class(SCORES, key="classes", of=NASTY),
    by_group(SCORES, "accuracy", key="groups", of=NASTY, mean=0.5),
    *curves(FOLDS, key="curves", of=NASTY, best_epochs=(2,)),
]


@pytest.mark.parametrize(
    ("recalls", "words"),
    [
        ((0.9, 0.5, 1.0), " b is recognised least often."),
        ((0.5, 0.5, 1.0), " a and b are recognised least often."),
        ((0.0, None, 1.0), " a is recognised least often."),
        ((1.0, 1.0, 1.0), ""),
        ((None, None, 0.5), ""),
    ],
)
def test_the_worst_class_is_named_if_one_is_worse(recalls: tuple[float | None, ...], words: str) -> None:
    """Where all are recognised alike none is, and a class without windows is no candidate."""
    scores = {name: {"recall": value} for name, value in zip("abc", recalls, strict=True)}
    assert by_class(scores, key="classes", of="the test part").note == f"On the test part.{words}"


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.key)
def test_a_figure_is_a_picture_and_a_plot(figure: Figure) -> None:
    """The picture is one element with a text for who cannot see it, plotly takes the plot; no name becomes markup."""
    from plotly.graph_objects import Figure as Plot

    drawn = picture(figure)
    root = ElementTree.fromstring(drawn)  # noqa: S314 - our own text
    title = root.find("title")
    assert title is not None
    assert title.text == figure.alt
    assert "<script" not in drawn
    assert "nan" not in drawn.replace(NASTY, "")
    described = plotly(figure, DAY)
    for trace in described["data"]:
        trace.pop("trials", None)
    assert "<script" not in json.dumps(described, allow_nan=False)
    Plot(described)  # raises ValueError for what plotly does not know


def test_colors_are_names_until_somebody_chooses() -> None:
    """A page puts in its own colors by day and night; a palette gives them at once."""
    figure = Figure("k", "t", "a", Axis(), Axis(), (Points((1.0,), (1.0,), color="red"),))
    assert plotly(figure)["data"][0]["marker"]["color"] == "$red"
    assert plotly(figure, {"red": "#f00"})["data"][0]["marker"]["color"] == "#f00"


def test_the_confusion_matrix_is_said_in_words() -> None:
    """How many are right, and what is mistaken most often; a class without windows divides nothing by zero."""
    figure = confusion(CLASSES, MATRIX, key="k", of="the test part")
    assert "17 of 20 predictions on the test part right" in figure.alt
    assert f"walking taken for {NASTY}, 2 times" in figure.alt
    (cells,) = figure.layers
    assert isinstance(cells, Cells)
    assert cells.shares[0] == (0.8, 0.2, 0.0)
    assert cells.shares[1] == (0.0, 0.0, 0.0)


def test_groups_come_best_first() -> None:
    """By the score, and by the loss the other way round; a group without a score is the last."""
    scores: dict[str, dict[str, float | None]] = {
        "1": {"accuracy": 0.5, "loss": 2.0},
        "2": {"accuracy": 0.9, "loss": 1.0},
        "3": {"accuracy": None, "loss": None},
    }
    assert by_group(scores, "accuracy", key="k", of="x").y.categories == ("2", "1", "3")
    assert by_group(scores, "loss", key="k", of="x").y.categories == ("2", "1", "3")


def test_curves_have_a_figure_for_each_metric() -> None:
    """The loss first; the epoch that was kept is marked where its value is known."""
    figures = curves(FOLDS, key="c", of="trial 1", best_epochs=(2,))
    assert [figure.key for figure in figures] == ["c-loss", "c-accuracy"]
    names = [layer.name for layer in figures[0].layers if isinstance(layer, Points)]
    assert names == ["training", "validation", "kept"]
    assert "2 was kept" in figures[0].alt


@pytest.mark.parametrize("folds", [2, 5, 15])
def test_the_curves_of_many_folds_are_readable(folds: int) -> None:
    """Of a few folds each has its own entries in the legend; many share one for each part, and say which they are."""
    (figure, *_) = curves(FOLDS * folds, key="c", of="trial 1", best_epochs=(2,) * folds)
    layers = [layer for layer in figure.layers if isinstance(layer, Points)]
    said = {text for layer in layers for text in layer.hover if text}
    if folds > 3:
        assert [layer.name for layer in layers] == ["training", "validation", "kept"]
        assert "epoch 2, kept, fold 4\n1.5000" in said
    else:
        assert [layer.name for layer in layers[:3]] == ["training, fold 0", "validation, fold 0", "kept, fold 0"]
    drawn = sum(math.isfinite(value) for layer in layers for value in layer.y)
    assert drawn == folds * 5  # two epochs of each part, and the one that was kept
    assert all(f"epoch 1, validation, fold {fold}\nloss 2.0000" in said for fold in range(folds))
    assert f"of {folds} folds" in figure.alt
    if folds > 3:  # a line does not run from one fold's end to the next one's beginning
        (line,) = re.findall(r'class="line grey dashed[^>]* d="(?:M[^M"]*){3}([^"]*)"', picture(figure))
        assert line.count("M") == folds - 3
    assert plot_height(figure) > 180


def plot_height(figure: Figure) -> float:
    """Pixels of a picture between its axes; below zero where the plot stands on its head."""
    found = re.search(r'class="grid" d="M[\d.]+ ([\d.]+)V([\d.-]+)', picture(figure))
    assert found is not None
    return float(found[2]) - float(found[1])


@pytest.mark.parametrize("narrow", [False, True])
def test_a_long_legend_takes_nothing_from_the_plot(narrow: bool) -> None:
    """The picture gets as much higher as the legend does, and so do the plot and a sheet with it."""

    def named(n: int) -> Figure:
        layers = tuple(Points((1.0, 2.0), (i, i + 1.0), f"a rather long name, {i}") for i in range(n))
        return Figure("k", "t", "a", Axis("x"), Axis("y", low=0, high=50), layers, height=200, narrow=narrow)

    few, many = named(2), named(40)
    assert plot_height(many) == plot_height(few) > 100
    low = max(float(y) for y in re.findall(r'class="label" x="[\d.]+" y="([\d.]+)"', picture(many)))
    found = re.search(r'viewBox="0 0 \d+ (\d+)"', picture(many))
    assert found is not None
    high = int(found[1])
    assert low < high
    assert plotly(many)["layout"]["height"] == high > 300
    assert f'height="{high}" class="picture"' in sheet([many])
    assert int(re.findall(r'<svg [^>]*height="(\d+)"', sheet([many]))[0]) > high


@pytest.mark.parametrize(
    ("low", "high", "log", "texts"),
    [
        (0.0, 1.0, False, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.912, 0.957, False, ["0.92", "0.93", "0.94", "0.95"]),
        (0, 4321, False, ["0", "1,000", "2,000", "3,000", "4,000"]),
        (1e-4, 1e-2, True, ["0.0001", "0.0003", "0.001", "0.003", "0.01"]),
        (5.0, 5.0, False, ["5"]),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, texts: list[str]) -> None:
    """About as many as wanted, at ones, twos and fives, with as many decimals as tell them apart."""
    found = ticks(low, high, log=log)
    assert [text for _, text in found] == texts
    assert all(low <= value <= high for value, _ in found)


def test_hopeless_trials_do_not_flatten_the_others() -> None:
    """An axis ends before values that lie far off the better three quarters, on the worse side only."""
    good = [0.90 + i / 100 for i in range(8)]
    low, high, outside = focus([*good, 0.1, math.nan], "maximize")
    assert (high, outside) == (None, 1)
    assert low is not None
    assert 0.5 < low < 0.9
    low, high, outside = focus([*(1 - v for v in good), 5.0], "minimize")
    assert (low, outside) == (None, 1)
    assert high is not None
    assert 0.1 < high < 0.5
    assert focus(good, "maximize") == (None, None, 0)
    assert focus([0.1, 0.9], "maximize") == (None, None, 0)
