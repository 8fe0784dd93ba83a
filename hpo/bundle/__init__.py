"""Bundles: one zip with a trained model and all that is known of it, which another machine serves without TensorFlow.

Everything here reads and writes files; nothing loads a model. A bundle is data, whoever made it.
"""

from hpo.bundle.archive import Bundle, describe, open_bundle, write_bundle
from hpo.bundle.arrays import LABELS, NUMBERS, Npz
from hpo.bundle.manifest import TOLERANCE, About, Code, Conversion, Data, Manifest, Weights

__all__ = [
    "LABELS",
    "NUMBERS",
    "TOLERANCE",
    "About",
    "Bundle",
    "Code",
    "Conversion",
    "Data",
    "Manifest",
    "Npz",
    "Weights",
    "describe",
    "open_bundle",
    "write_bundle",
]
