#!/usr/bin/env bash
# Runs studies one after the other, and evaluates each. Resumable: run it again after anything, and it goes on.
#   benchmarks/evaluate.sh FOLDER STUDY.toml ...
#   TOP=1 SEEDS=10 AGAIN=1 benchmarks/evaluate.sh .hpo/results studies/notebook_*.toml
# AGAIN=1 opens a test part that another study has opened; each report then says so. Without it such a study fails here.
# Everything goes into FOLDER: the database (unless HPO_STORAGE names another), artifacts, arrays, and of each study
# NAME.log, NAME.evaluation.txt and NAME.evaluation.json. A study that fails does not keep the next ones from their turn.
set -uo pipefail
folder=$(realpath -m "$1") && shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export HPO_STORAGE=${HPO_STORAGE:-sqlite:///$folder/hpo.db} HPO_ARTIFACTS=$folder/artifacts HPO_CACHE=$folder/cache
mkdir -p "$folder"
failed=()

# Runs hpo with its talk in a log. Leaves everything when hpo was interrupted: there is work left, here and behind.
run() {
    "$root/.venv/bin/hpo" "$@" 2>>"$folder/$name.log"
    local code=$?
    if [ "$code" = 130 ] || [ "$code" = 75 ]; then exit "$code"; fi
    return "$code"
}

for study in "$@"; do
    name=$("$root/.venv/bin/python" -c 'import sys, tomllib; print(tomllib.load(open(sys.argv[1], "rb"))["name"])' "$study")
    ask=(evaluate "$name" --top "${TOP:-3}" --seeds "${SEEDS:-5}")
    echo "$(date -u +%H:%M:%S) $name"
    run launch "$study" >"$folder/$name.launch.txt" &&
        { run "${ask[@]}" || { [ -n "${AGAIN:-}" ] && run "${ask[@]}" --again; }; } >"$folder/$name.evaluation.txt" &&
        run "${ask[@]}" --json >"$folder/$name.evaluation.json" ||  # opens nothing: it shows what was found
        failed+=("$name")
done
for name in "${failed[@]}"; do echo "failed: $name, see $folder/$name.log"; done
[ ${#failed[@]} = 0 ]
