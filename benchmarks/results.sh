#!/usr/bin/env bash
# Runs the studies that docs/results.md speaks of, one after the other. Resumable: run it again after anything.
# Needs the data of docs/data.md in data/. Takes about half an hour on two cores.
#   benchmarks/results.sh [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-.hpo/results}
python=.venv/bin/python
mkdir -p "$folder"
$python benchmarks/interrupted.py studies/har_conv_lstm.toml --folder "$folder" >"$folder/har-conv-lstm.verdict.json"
for model in conv_lstm cnn_lstm lstm; do
    name=notebook-${model//_/-}
    $python benchmarks/interrupted.py "studies/notebook_$model.toml" --calm --folder "$folder" \
        >"$folder/$name.verdict.json"
done
$python benchmarks/interrupted.py studies/earthquakes_lstm_fcn.toml --folder "$folder" \
    >"$folder/earthquakes-lstm-fcn.verdict.json"
