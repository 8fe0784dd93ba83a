"""docs/bundles.md says what is so."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from hpo.bundle.manifest import OPTIONAL, REQUIRED, SAVED_MODEL, Manifest
from hpo.inputs import LAYOUTS
from tests.bundle.made import GOLDEN
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "bundles.md").read_text(encoding="utf-8")


def test_the_snippet_runs(tmp_path: Path) -> None:
    """Pasted into an unpacked bundle's folder, the lines without hpo print a difference below the limit."""
    with zipfile.ZipFile(GOLDEN) as archive:
        archive.extractall(tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert "hpo" not in snippet
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 1e-5
    assert done.stderr == ""


def test_the_tables_are_complete() -> None:
    """Every member, every key of the manifest, every ending and every layout has its row."""
    for name in (REQUIRED | OPTIONAL) - set(SAVED_MODEL):
        assert f"| `{name}` |" in PAGE
    for name in SAVED_MODEL:
        assert f"`{name.split('/')[1]}" in PAGE
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"`([\w.]+)`", row)}
    assert Manifest.model_fields.keys() <= named
    for suffix, layouts in LAYOUTS.items():
        assert f"`{suffix}`" in PAGE
        assert all(f"`{layout}`" in PAGE for layout in layouts)
