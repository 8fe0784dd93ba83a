"""The commands: each parses, calls one function and prints. Heavy imports wait until a command needs them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpo import __version__, cli_dashboard, cli_data, cli_look, cli_report, cli_serve, housekeeping, settings
from hpo.console import (
    Commands,
    artifacts_option,
    cache_option,
    console,
    deliver,
    emit,
    example,
    follow_up,
    json_option,
    log,
    name_argument,
    number_argument,
    option,
    start_log,
    storage_files,
    storage_option,
    study_file_argument,
    typed,
    worker_options,
)
from hpo.errors import UsageError
from hpo.folders import names

if TYPE_CHECKING:
    from hpo.artifacts import Artifacts
    from hpo.launch import Wish
    from hpo.store import Store


@click.group(cls=Commands, context_settings={"auto_envvar_prefix": "HPO", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hpo")
@option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of stderr.")
def main(log_format: str) -> None:
    """Tunes time-series classifiers: one study file, one shared study, no lost result.

    \b
    Start here:
      hpo check studies/quickstart.toml
      hpo launch studies/quickstart.toml
    """
    start_log(log_format)


@main.command(epilog=example("hpo check studies/quickstart.toml"))
@study_file_argument
@cache_option
@option("--sizes/--no-sizes", default=True, help="Build some models to count their parameters (takes seconds).")
@json_option
def check(study_file: Path, cache: Path, sizes: bool, as_json: bool) -> None:
    """Validates a study file with its data and prints the plan."""
    from hpo import checking
    from hpo.prepare import prepare

    if not as_json:
        log.info("reading %s and its data ...", study_file)
    prepared = prepare(study_file, cache)
    for warning in prepared.warnings:
        log.warning("warning: %s", warning)
    if sizes and not as_json:
        log.info("building some models to count their parameters ...")
    plan = checking.plan(prepared, sizes=sizes)
    if as_json:
        emit(plan)
    else:
        console().print(checking.table(plan))


@main.command(epilog=example("hpo launch studies/quickstart.toml --workers 2"))
@study_file_argument
@option("--workers", type=click.IntRange(min=1), help="Trials at a time.  [default: GPUs, else cores / threads]")
@option("--on", type=click.Choice(names("launch")), default="local", show_default=True, help="Where to work.")
@option(
    "--enqueue", type=click.Path(path_type=Path), multiple=True, help="File of hpo export: try these settings first."
)
@option("--from", "studies", envvar="HPO_LAUNCH_FROM", multiple=True, help="Other study: learn from its trials.")
@worker_options
@option("--extend", is_flag=True, help="Widen ranges of a study that exists: its trials stay.")
@option("--dry-run", is_flag=True, help="Print the plan and change nothing but the data cache.")
def launch(
    study_file: Path,
    workers: int | None,
    on: str,
    enqueue: tuple[Path, ...],
    studies: tuple[str, ...],
    extend: bool,
    dry_run: bool,
    **wishes: Any,
) -> None:
    """Creates or resumes a study and works on it until its budget has ended.

    Ctrl-C finishes what runs and leaves; a second Ctrl-C leaves at once. Run the same command again and it goes on
    where it stopped; run it twice at once and the second one adds its slots.

    A study can begin with what is known: --enqueue best.json tries the settings of a file first, --from OLD_STUDY lets
    the sampler learn from the trials of another study. Both may be given several times.
    """
    from hpo import checking, knowledge, launching
    from hpo import launch as launchers
    from hpo.prepare import prepare

    log.info("reading %s and its data ...", study_file)
    prepared = prepare(study_file, wishes["cache"])
    for warning in prepared.warnings:
        log.warning("warning: %s", warning)
    wish = _wish(prepared.definition.name, workers, prepared.definition.train.threads, **wishes)
    known = knowledge.gather(prepared, wish.storage, enqueue, studies)
    if dry_run:
        plan, found = launchers.get(on).plan(wish), launching.rehearse(prepared, on, wish, extend=extend)
        console().print(checking.table(checking.plan(prepared, sizes=False)))
        for line in (*found, *known.lines, *plan.lines):
            click.echo(line)
        click.echo(plan.script, nl=False)
        return
    code = launching.run(prepared, on, wish, console(err=True), known, extend=extend)
    _finish(prepared.definition.name, wish.storage, code)


def _wish(study: str, workers: int | None, threads: int = 1, **wishes: Any) -> "Wish":
    """What the options of `launch` and `worker` ask for."""
    from hpo.launch import Wish

    times = settings.Times(**{name: wishes.pop(name) for name in ("grace", "renew", "lease")})
    if times.renew >= times.lease:
        raise UsageError(f"--renew is {times.renew:g} s; accepted: less than --lease, {times.lease:g} s")
    return Wish(study=study, workers=workers, threads=threads, times=times, files=storage_files(), **wishes)


def _finish(name: str, storage: str, code: int) -> None:
    """The last words of a launch: the best parameters, and what to do next."""
    from hpo import launching

    for line in launching.last_words(name, storage, launch=typed(), command=follow_up):
        click.echo(line)
    click.get_current_context().exit(code)


@main.command(epilog=example("hpo worker quickstart --slots 2"))
@name_argument
@option("--slots", type=click.IntRange(min=1), help="Trials at a time.  [default: GPUs, else cores / threads]")
@option("--wait", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait at the start for a database away.")
@worker_options
def worker(name: str, slots: int | None, **wishes: Any) -> None:
    """Works on a study that somebody launched, until all of its budget has ended."""
    from hpo import launching

    click.get_current_context().exit(launching.work(_wish(name, slots, **wishes)))


@main.command(epilog=example("hpo evaluate quickstart --top 3 --seeds 5"))
@name_argument
@option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Configurations to compare.")
@option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Fresh seeds for each of them.")
@option("--test/--no-test", default=True, help="Open the test part for the winner, or rank on validation alone.")
@option("--again", is_flag=True, help="Open the test part although it was opened before; every report will say so.")
@option("--workers", type=click.IntRange(min=1), help="Trainings at a time.  [default: GPUs, else cores / threads]")
@worker_options
@option("--dry-run", is_flag=True, help="Print what would be trained, and change nothing.")
@json_option
def evaluate(
    name: str,
    top: int,
    seeds: int,
    test: bool,
    again: bool,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
    **wishes: Any,
) -> None:
    """The honest winner: the best configurations on fresh seeds, then one look at the test part.

    Any `hpo worker NAME/evaluate` helps. Interrupted or killed, the same command goes on where it stopped.
    """
    from hpo.evaluation.begin import Asked, plan
    from hpo.evaluation.flow import Here, run
    from hpo.evaluation.page import page, plan_table
    from hpo.store import Store

    asked, wish = Asked(top, seeds, test=test, again=again), _wish(name, workers, **wishes)
    with Store(wish.storage, read_only=dry_run) as store:
        if dry_run:
            planned = plan(store, name, asked, wish.cache.resolve())
            if as_json:
                emit(planned)
            else:
                console().print(plan_table(planned))
            return
        code, report = run(store, name, asked, Here(wish, console(err=True)))
    if report is not None and as_json:
        emit(report)
    elif report is not None:
        console().print(page(report))
    click.get_current_context().exit(code)


@main.command(epilog=example("hpo stop quickstart"))
@name_argument
@storage_option
def stop(name: str, storage: str) -> None:
    """Asks all workers of a study, wherever they are, to finish what runs and leave; `hpo launch` takes up again."""
    from hpo.store import Store

    with Store(storage) as store:
        store.request_stop(name)
        found = store.status(name)
    if any(worker.alive for worker in found.workers):
        log.info("study %s: its workers finish what runs and leave", name)
    elif found.state == "ended":
        log.info("study %s has ended, and nobody works on it", name)
    else:
        log.info("study %s: nobody works on it; workers that come leave at once, until `hpo launch`", name)


@main.command(epilog=example("hpo rerun quickstart 3"))
@name_argument
@number_argument
@option("-o", "--output", type=click.Path(path_type=Path), help="Folder for its files.  [default: none is kept]")
@storage_option
@cache_option
@json_option
def rerun(name: str, number: int, output: Path | None, storage: str, cache: Path, as_json: bool) -> None:
    """Trains a trial again from its record and says whether its score came back, and what differs if it did not.

    Nothing is written to the database. Exit code 0 if the score came back, 1 if not.
    """
    from hpo import verdict
    from hpo.live import training
    from hpo.rerun import place, train_again
    from hpo.store import Store

    with Store(storage, read_only=True) as store, place(output) as folder:
        record = store.study(name)
        epochs = record.definition.train.max_epochs * record.folds
        with training(console(err=True), f"trial {number}", epochs) as heard:
            found = train_again(store, name, number, cache=cache, folder=folder, heard=heard)
    if as_json:
        emit(found.model_dump(mode="json"))
    else:
        console().print(verdict.table(found))
    click.get_current_context().exit(0 if found.came_back else 1)


@main.command(epilog=example("hpo export quickstart -o best.json"))
@name_argument
@option("--trial", type=click.IntRange(min=0), help="Of this trial.  [default: the best one; csv: all]")
@option("--top", type=click.IntRange(min=1), help="Of so many best trials, each with other settings.")
@option("--pareto", is_flag=True, help="Of the trials that no other beats in all metrics.")
@option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File.  [default: stdout]")
@option(
    "--format",
    "form",
    envvar="HPO_EXPORT_FORMAT",
    type=click.Choice(["json", "toml", "csv", "bundle"]),
    help="csv has a line for each trial, bundle the trained model.  [default: as the file ends, else json]",
)
@storage_option
@artifacts_option
@cache_option
def export(
    name: str,
    trial: int | None,
    top: int | None,
    pareto: bool,
    output: Path | None,
    form: str | None,
    storage: str,
    artifacts: "Artifacts",
    cache: Path,
) -> None:
    """The best parameters, with score, data hashes and versions; or those of other trials, or a table of all.

    Once the study was evaluated, the best are the winner's of `hpo evaluate`.

    Or a bundle: one zip with the trained model as ONNX, SavedModel and .keras, everything that is known of it, and a
    model card. The trial is trained again for it: hpo export NAME -o best.hpo.zip
    """
    from hpo.export import form_of, written
    from hpo.store import Store

    form = form_of(output, form)
    with Store(storage, read_only=True) as store:
        if form == "bundle":
            if output is None or top is not None or pareto:
                raise UsageError("a bundle is one trial in a file: --format bundle -o best.hpo.zip, perhaps --trial N")
            _export_bundle(store, name, trial, output, artifacts, cache)
        else:
            deliver(written(store, name, form, number=trial, top=top, pareto=pareto), output)


def _export_bundle(
    store: "Store", name: str, trial: int | None, output: Path, artifacts: "Artifacts", cache: Path
) -> None:
    from hpo import bundling
    from hpo.artifacts.copies import Copies

    copies = Copies(artifacts, cache)
    bundle = bundling.make(store, name, trial, output, copies=copies, cache=cache, console=console(err=True))
    log.info("wrote %s, digest %s", output, bundle.digest)


_ELSEWHERE = (
    *(cli_look.status, cli_look.list_, cli_look.show, cli_look.logs),
    *(cli_report.report, cli_data.data, cli_serve.predict, cli_serve.verify),
    *(housekeeping.migrate, housekeeping.delete, housekeeping.gc),
    cli_dashboard.dashboard,
)
for command in _ELSEWHERE:
    main.add_command(command)

if __name__ == "__main__":
    main()
