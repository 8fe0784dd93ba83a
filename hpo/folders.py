"""Names of the modules in an extension folder, found without importing them.

The name in a study file is a module's name, and the list of choices is the folder: adding a family, a data source
or a launcher is adding one file. Modules whose name opens with an underscore are shared helpers.
"""

from pathlib import Path

_NOT_EXTENSIONS = {"split"}


def names(folder: str) -> list[str]:
    """Sorted names of the extensions in ``hpo/<folder>``."""
    files = (Path(__file__).parent / folder).glob("[!_]*.py")
    return sorted(f.stem for f in files if f.stem not in _NOT_EXTENSIONS)
