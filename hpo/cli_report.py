"""The command that writes a study down for people: one page, which is handed on as a file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo.console import (
    artifacts_option,
    cache_option,
    deliver,
    emit,
    example,
    json_option,
    log,
    name_argument,
    option,
    storage_option,
)

if TYPE_CHECKING:
    from hpo.artifacts import Artifacts


@click.command(epilog=example("hpo report quickstart -o report.html"))
@name_argument
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="File; one that is there is replaced.",
)
@option("--static", is_flag=True, help="Pictures only: a file of a tenth of the size, for an e-mail.")
@option("--names", is_flag=True, help="Tell the names of machines and users, which are left out otherwise.")
@storage_option
@artifacts_option
@cache_option
@json_option
def report(
    name: str, output: Path, static: bool, names: bool, storage: str, artifacts: "Artifacts", cache: Path, as_json: bool
) -> None:
    """Writes a study into one HTML file: what was asked, what was tried, what came out.

    The file needs nothing but a browser, and no network. A study that still runs is shown as it is now. Nothing is
    written to the database.
    """
    from hpo.artifacts.copies import Copies
    from hpo.report import can_be_interactive, gather, page
    from hpo.store import Store

    log.info("reading study %s ...", name)
    with Store(storage, read_only=True) as store:
        found = gather(store, name, Copies(artifacts, cache), names=names)
    interactive = not static and can_be_interactive()
    if not static and not interactive:
        log.warning("plotly is not installed, so all figures are pictures; the extra `report` brings it")
    log.info("drawing %d trials ...", len(found.trials))
    made = page(found, interactive=interactive)
    deliver(made.html, output)
    if as_json:
        emit(
            {
                "path": str(output),
                "bytes": output.stat().st_size,
                "study": found.record.name,
                "state": found.status.state,
                "trials": len(found.trials),
                "figures": made.figures,
                "tables": made.tables,
                "interactive": made.interactive,
                "evaluated": found.evaluation is not None,
            }
        )
