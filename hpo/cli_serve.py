"""The commands that use a bundle. They need neither TensorFlow nor a database."""

from pathlib import Path

import click

from hpo.console import deliver, emit, example, is_typed, json_option, log, option
from hpo.errors import UsageError
from hpo.formats import to_json

bundle_argument = click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
_LAYOUTS = ("channels-last", "channels-first", "long", "wide", "lines")
_OUTPUTS = (".csv", ".json", ".npz")


@click.command(epilog=example("hpo predict best.hpo.zip windows.npz -o predictions.csv"))
@bundle_argument
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File: .csv, .json or .npz.  [default: CSV to stdout]",
)
@option(
    "--layout",
    type=click.Choice(_LAYOUTS),
    help="Of FILE: .npz channels-last or channels-first, .csv long or wide.  [default: the first one]",
)
@option("--labels/--no-labels", default=True, help="Whether to use the labels of FILE, if it has any.")
@option("--batch", type=click.IntRange(min=1), default=256, show_default=True, help="Windows at a time.")
@json_option
def predict(
    bundle: Path, file: Path, output: Path | None, layout: str | None, labels: bool, batch: int, as_json: bool
) -> None:
    """Predicts the windows of a file: class and probabilities of each, and the accuracy where there are labels.

    FILE is an .npz with windows in `X`, a .txt or .tsv of the UCR archive, or a .csv. The bundle's hashes are checked
    first, and nothing in it is run but its model, by onnxruntime.
    """
    from hpo.bundle import open_bundle
    from hpo.predicting import Prediction

    form = output.suffix.lower() if output else ".json" if as_json else ".csv"
    if form not in _OUTPUTS:
        raise UsageError(f"cannot write {output}: accepted endings: {', '.join(_OUTPUTS)}")
    if output and form != ".json" and is_typed("as_json"):
        raise UsageError(f"--json does not go with {output}: leave it out, or let the file end in .json")
    prediction = Prediction(
        open_bundle(bundle), file, layout=layout, labels=labels, batch=batch,
        say=lambda done: log.info("%s windows ...", f"{done:,}"),
    )  # fmt: skip
    if form == ".npz":
        deliver(prediction.npz(), output)
    elif form == ".json":
        deliver(to_json(prediction.document()), output)
    elif output:
        deliver("".join(prediction.csv()).rstrip("\n"), output)
    else:
        for text in prediction.csv():
            click.echo(text, nl=False)
    share = "" if prediction.accuracy is None else f"; accuracy {prediction.accuracy:.4f}"
    log.info("%s windows predicted%s", f"{prediction.windows:,}", share)


@click.command(epilog=example("hpo verify best.hpo.zip"))
@bundle_argument
@json_option
def verify(bundle: Path, as_json: bool) -> None:
    """Checks a bundle: that it is whole and unchanged, holds no code, and predicts here what it did where it was made.

    Exit code 3 if not. Its digest says which bundle it is: two bundles with the same digest are the same.
    """
    from hpo.bundle import TOLERANCE, open_bundle
    from hpo.serving import verify as check

    opened = open_bundle(bundle)
    found = check(opened)
    about = opened.manifest
    if as_json:
        emit(
            {
                "bundle": str(bundle),
                "digest": opened.digest,
                "study": about.study,
                "trial": about.trial,
                "members": len(about.members),
                "windows": found.windows,
                "largest_difference": found.largest_difference,
                "tolerance": TOLERANCE,
            }
        )
        return
    click.echo(f"{bundle}: trial {about.trial} of study {about.study}, {about.family}, digest {opened.digest}")
    click.echo(f"  {len(about.members)} members have the sizes and hashes that the manifest says")
    click.echo(
        f"  {found.windows} synthetic windows: probabilities differ from Keras's by up to "
        f"{found.largest_difference:.1g} (accepted: {TOLERANCE:g})"
    )
