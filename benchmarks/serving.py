"""Takes a bundle to an empty environment with the extra `runtime` alone, and compares its predictions with Keras.

    .venv/bin/python benchmarks/serving.py best.hpo.zip .hpo/cache/test/SHA256

The second argument is an .npz as `hpo predict` reads it, or a folder with x.npy, and y.npy if there are labels, as the
data cache has them. Run it with the Python of an environment that has the extra `train`: there Keras loads the bundle's
model.keras and predicts the same windows. Packages come from the configured index, in the versions of the lock.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1e-5
ABSENT = ("keras", "onnx", "pandas", "scipy", "sklearn", "tensorflow")


def run(command: list[str | Path], folder: Path) -> str:
    """Its standard output; what it says on the way is shown."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPO_", "PYTHON"))}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def constraints() -> str:
    """The lock's versions without its hashes: pip cannot check hashes of a checkout that it builds itself."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return "\n".join(line.removesuffix(" \\") for line in lines if line[:1].isalnum()) + "\n"


def install(folder: Path) -> Path:
    """An environment with hpo and its extra `runtime`, and nothing else. Returns its folder of programs."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    (folder / "constraints.txt").write_text(constraints())
    pip: list[str | Path] = [programs / "python", "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    run([*pip, "-c", folder / "constraints.txt", f"{ROOT}[runtime]"], folder)
    look = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    found = run([programs / "python", "-c", look], folder).strip()
    if found != "[]":
        raise SystemExit(f"the environment is not empty: {found}")
    return programs


def with_keras(bundle: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the bundle's .keras model gives."""
    import keras

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(bundle) as archive:
        model = keras.saving.load_model(archive.extract("model.keras", folder), compile=False, safe_mode=True)
    p: NDArray[np.float32] = model.predict(x, batch_size=256, verbose=0)
    return p


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("windows", type=Path)
    asked = parser.parse_args()
    bundle = asked.bundle.resolve()
    if asked.windows.is_dir():
        arrays = {"X": np.load(asked.windows / "x.npy")}
        if (asked.windows / "y.npy").exists():
            arrays["y"] = np.load(asked.windows / "y.npy")
    else:
        with np.load(asked.windows, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    with tempfile.TemporaryDirectory(prefix="serving-") as name:
        folder = Path(name)
        np.savez(folder / "windows.npz", **arrays)
        began = time.perf_counter()
        hpo = install(folder) / "hpo"
        installed = time.perf_counter() - began
        print(run([hpo, "verify", bundle], folder), end="")
        began = time.perf_counter()
        run([hpo, "predict", bundle, "windows.npz", "-o", "out.npz"], folder)
        predicted = time.perf_counter() - began
        with np.load(folder / "out.npz", allow_pickle=False) as file:
            p = file["probabilities"]
    difference = float(np.abs(p - with_keras(bundle, arrays["X"].astype(np.float32))).max())
    print(f"{len(p)} windows, largest difference from Keras {difference:.2g} (limit {LIMIT:g})")
    print(f"installed in {installed:.1f} s, predicted in {predicted:.1f} s, start of the program included")
    sys.exit(0 if difference <= LIMIT else 1)


if __name__ == "__main__":
    main()
