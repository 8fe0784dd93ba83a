"""What a report says of trials on their way: how much was trained, and what was reported where."""

from pathlib import Path

import pytest

from hpo.plots import Points
from hpo.report import gather, search, tables
from hpo.settings import Times
from hpo.store import Claims
from hpo.trial import Epoch
from tests.support import SPACES, claimed, completed, copies, definition, open_store, record


@pytest.mark.parametrize(
    ("pruner", "columns", "rows", "trained"),
    [
        ("none", [">fold", ">epoch"], [["1", "1"], ["1", "2"], ["3", "1"], ["3", "2"], ["3", "4"]], 5),
        ("wilcoxon", [">fold"], [["1"], ["2"], ["3"]], 3),
    ],
)
def test_what_was_trained_is_counted_without_gaps(
    tmp_path: Path, pruner: str, columns: list[str], rows: list[list[str]], trained: int
) -> None:
    """Epochs of folds that stopped early are not counted as trained, and each score stands at its fold and epoch."""
    settings = {"name": pruner} | ({"p_threshold": 0.3} if pruner == "wilcoxon" else {})
    made = definition(split={"by": "group", "folds": 3}, train={"max_epochs": 10}, search={"pruner": settings})
    store = open_store(tmp_path)
    store.create(made, spaces=SPACES, data=record(), versions={})
    claims = Claims(store, "s", "w", Times())
    claim = claimed(claims)
    for fold, epoch in ((0, 0), (0, 1), (2, 0), (2, 1), (2, 3)):
        scores = (0.1, 0.2, 0.3)[:fold]
        step = fold * 10 + epoch
        claims.report(
            claim, Epoch(fold=fold, epoch=epoch, step=step, value=0.2, seconds=0.1, logs={}, fold_values=scores)
        )
    claims.finish(claim, completed(0.5).model_copy(update={"fold_values": (0.1, 0.2, 0.3)}))
    found = gather(store, "s", copies(tmp_path))
    figure, table = search.learning(found), tables.curves(found)
    assert figure is not None
    assert figure.x.title == f"{columns[-1][1:]}s trained"
    assert [layer.x for layer in figure.layers if isinstance(layer, Points)] == [
        tuple(float(n + 1) for n in range(trained))
    ]
    assert list(table.columns[:-1]) == columns
    assert [[cell.text for cell in row[:-1]] for row in table.rows] == rows
