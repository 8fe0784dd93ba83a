"""One HTML file out of what was gathered: figures, tables and words, with all that it needs inside.

The page asks nobody for anything, and its content security policy forbids it to: nothing may be loaded, and only the
two scripts whose hashes it names may run. plotly.js is packed with gzip: as it is it would fill the file alone.
"""

import base64
import gzip
import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hpo.formats import to_toml
from hpo.plots import Figure, picture, plotly
from hpo.render import score, state
from hpo.report.answer import answer
from hpo.report.gather import Found
from hpo.report.sections import sections
from hpo.report.table import Table
from hpo.revision import revision
from hpo.versions import installed

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        html: all of it.
        figures, tables: how many. interactive: whether plotly.js is in it.
    """

    html: str
    figures: int
    tables: int
    interactive: bool


def page(found: Found, *, interactive: bool) -> Page:
    """The report.

    Args:
        found: what is known.
        interactive: with plotly.js inside; else all figures are pictures.
    """
    parts = sections(found)
    figures = [figure for part in parts for figure in part.figures]
    script = (_HERE / "page.js").read_text("utf-8")
    library = _library() if interactive else ""
    scripts = [script, *([gzip.decompress(base64.b64decode(library)).decode()] if library else [])]
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"picture": _picture, "typeset": _typeset}
    environment.tests |= {"figure": _is(Figure), "table": _is(Table)}
    html = environment.get_template("page.html").render(
        found=found,
        record=found.record,
        state=state(found.status),
        answer=answer(found),
        sections=parts,
        made=datetime.fromtimestamp(found.now, UTC),
        created=datetime.fromtimestamp(found.record.created_at, UTC),
        reproduce=_reproduce(found),
        policy=_policy(scripts),
        style=Markup((_HERE / "page.css").read_text("utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        library=library,
        data=_data(found, figures) if interactive else {},
    )
    n_tables = sum(isinstance(item, Table) for part in parts for item in part.content)
    return Page(html, len(figures), n_tables, interactive)


def can_be_interactive() -> bool:
    """Whether plotly is installed."""
    return find_spec("plotly") is not None


def _picture(figure: Figure) -> Markup:
    return Markup(picture(figure))  # noqa: S704 - it escapes all of its texts


def _typeset(text: str) -> Markup:
    """The text in print: what stands between backticks is code, and a sign is a sign."""
    typeset = escape(text).replace(" +- ", " ± ").replace("95 %", "95\N{NO-BREAK SPACE}%")
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", typeset))  # noqa: S704 - escaped first


def _is(kind: type) -> Callable[[object], bool]:
    return lambda item: isinstance(item, kind)


def _data(found: Found, figures: list[Figure]) -> dict[str, Any]:
    """What the script draws: figures for plotly, and a text for each trial that they show."""
    plots = {figure.key: plotly(figure) for figure in figures}
    used = {n for plot in plots.values() for trace in plot["data"] for n in trace.get("trials", ())}
    several = len(found.record.spaces) > 1
    texts = {}
    for number in sorted(used):
        one = found.trials[number]
        lines = [
            f"trial {number}, {one.cause}",
            f"{found.metric} {score(None if math.isnan(one.value) else one.value)}",
        ]
        lines += [one.family] if several and one.family else []
        lines += [f"{name} {value}" for name, value in list(one.searched.items())[:10]]
        texts[number] = "<br>".join(map(escape, lines))
    return {"plots": plots, "trials": texts}


def _library() -> str:
    """plotly.js, packed and as text."""
    found = resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(found, 9, mtime=0)).decode()


def _policy(scripts: list[str]) -> str:
    """Nothing may be loaded, only these scripts may run. Plotly sets styles of its own, and makes images of plots."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(f"'sha256-{each}'" for each in hashes),
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _reproduce(found: Found) -> dict[str, Any]:
    """Commands, versions and hashes."""
    record, report, best = found.record, found.evaluation, found.winner
    definition = record.definition.plain()
    definition.pop("notify", None)  # addresses there may hold passwords
    commands = ["hpo launch study.toml"]
    if best is not None:
        commands.append(f"hpo rerun {record.name} {best.number}")
    if report is not None:
        asked = report["asked"]
        commands.append(f"hpo evaluate {record.name} --top {asked['top']} --seeds {asked['seeds']}")
    if best is not None:
        commands.append(f"hpo export {record.name} -o best.json")
    hashes = {"data set": record.data.sha256, "split": record.data.split_sha256, "study": record.digest}
    if report is not None and report["test"] is not None:
        hashes["test part"] = report["test"]["sha256"]
    recorded = best.record.outcome if best else None
    if best and recorded and recorded.weights_sha256:
        hashes[f"weights of trial {best.number}"] = recorded.weights_sha256
    trained: dict[str, set[str]] = {}
    for one in found.trials:
        for name, version in (one.record.outcome.versions if one.record.outcome else {}).items():
            trained.setdefault(name, set()).add(version)
    family = trained.pop("family", set())  # differs from family to family; the study's own versions have it
    code = revision()
    changed = ", with changes that are not committed" if code and code.changed else ""
    return {
        "commands": commands,
        "hashes": hashes,
        "versions": record.versions,
        "trained": {name: sorted(versions) for name, versions in sorted(trained.items())} if family or trained else {},
        "here": {"hpo": installed([])["hpo"], "revision": f"{code.revision}{changed}" if code else "not in a checkout"},
        "study": to_toml(definition),
    }
