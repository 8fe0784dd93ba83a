"""Data sets: read once by a source, kept as memory-mapped arrays in a cache, split for trials.

A source is a module of this folder with `Options`, `read` and `fingerprint`; adding one is adding a file. The
training part and the test part lie in different folders, and only `open_test` opens the latter. Importing this package
is cheap: pandas, aeon and scikit-learn are imported when a file is parsed or a split is drawn, and TensorFlow never.
"""

import ast
from pathlib import Path

from hpo import folders
from hpo.data._add import ARCHIVE, Added, add
from hpo.data._collect import drop, unused
from hpo.data._dataset import Dataset, Part, Raw, RawPart, make_dataset
from hpo.data._evaluation import former_sha256_of_test, open_train, refit, sha256_of_test
from hpo.data._load import Cached, Loaded, cached, load, open_test
from hpo.data._overlap import overlapping
from hpo.data._parts import channels, open_part, parts, prepare, share
from hpo.data._source import Source, SourceOptions, get, is_path, read, tables

__all__ = [
    "ARCHIVE",
    "Added",
    "Cached",
    "Dataset",
    "Loaded",
    "Part",
    "Raw",
    "RawPart",
    "Source",
    "SourceOptions",
    "add",
    "cached",
    "channels",
    "drop",
    "former_sha256_of_test",
    "get",
    "is_path",
    "load",
    "make_dataset",
    "open_part",
    "open_test",
    "open_train",
    "overlapping",
    "parts",
    "prepare",
    "read",
    "refit",
    "sha256_of_test",
    "share",
    "sources",
    "tables",
    "unused",
]


def sources() -> dict[str, str]:
    """Every source's name -> the first line of its docstring, read without importing it."""
    descriptions = {}
    for name in folders.names("data"):
        text = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        descriptions[name] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return descriptions
