"""The commands on data sets."""

from pathlib import Path

import click

from hpo.console import cache_option, console, emit, example, json_option, log, option


@click.group()
def data() -> None:
    """Data sets: what can be read, what is in the cache."""


@data.command("list", epilog=example("hpo data list"))
@cache_option
@json_option
def data_list(cache: Path, as_json: bool) -> None:
    """Kinds of data that can be read, and data sets in the cache."""
    from hpo import checking

    found = checking.data_listing(cache)
    if as_json:
        emit(found)
    else:
        console().print(checking.data_listing_table(found))


@data.command("show", epilog=example("hpo data show bundled BasicMotions"))
@click.argument("source")
@click.argument("where", metavar="PATH_OR_NAME")
@option("--name", help="Which data set of a folder (source ucr).")
@option(
    "--set",
    "keys",
    envvar="HPO_DATA_SHOW_SET",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another key of [data], as in a study file.",
)
@cache_option
@json_option
def data_show(source: str, where: str, name: str | None, keys: tuple[str, ...], cache: Path, as_json: bool) -> None:
    """One data set: sizes, classes, channels, groups, SHA-256."""
    from hpo import checking

    named = {} if name is None else {"name": name}
    found = checking.data_summary(source, where, named | checking.keys(keys), cache)
    if as_json:
        emit(found)
    else:
        console().print(checking.data_table(found))


@data.command("add", epilog=example("hpo data add ~/Downloads/recordings.csv"))
@click.argument("where", metavar="PATH|NAME|URL")
@option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Folder of data sets.",
)
@option("--name", help="Of the new file or folder.  [default: as it is called there]")
@option("--sha256", metavar="HEX", help="What the file must have; a URL needs it.")
@option("--link", is_flag=True, help="Link to a path instead of copying it.")
@option("--force", is_flag=True, help="Replace what has this name.")
@option("--mirror", metavar="URL", help="Folder from which a name is downloaded.  [default: where aeon takes it]")
@json_option
def data_add(
    where: str,
    to: Path,
    name: str | None,
    sha256: str | None,
    link: bool,
    force: bool,
    mirror: str | None,
    as_json: bool,
) -> None:
    """Brings a data set into a folder: from a path, by its name in the UCR and UEA archives, or from a URL.

    Archives are unpacked, if that is safe. A download that breaks off goes on where it stopped when you run the same
    command again. Nothing that is there is overwritten without --force.
    """
    from hpo import data as sets
    from hpo.live import downloading

    with downloading(console(err=True), where) as progress:
        added = sets.add(
            where,
            to,
            name=name,
            sha256=None if sha256 is None else sha256.lower(),
            link=link,
            force=force,
            mirror=mirror or sets.ARCHIVE,
            progress=progress,
        )
    if as_json:
        emit({"path": str(added.path), "sha256": added.sha256, "sources": list(added.sources)})
        return
    click.echo(str(added.path))
    if added.sha256 is not None:
        log.info("SHA-256 of what came: %s", added.sha256)
    for source in added.sources:
        log.info("next: hpo data show %s '%s'", source, added.path)
    if not added.sources:
        log.info("no source reads it without further keys; docs/sources.md says which ones csv and the others need")
