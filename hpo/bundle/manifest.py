"""What a bundle says of itself: its members, its manifest and what may stand in it. Knows no zip and no model."""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hpo.errors import DataError

FORMAT = 1
"""Of bundles; raised when an older hpo could not serve a newer one's."""
TOLERANCE = 1e-5
"""By how much a probability may differ between Keras and ONNX, wherever they run."""

MANIFEST, DIGEST = "manifest.json", "manifest.sha256"
ONNX, KERAS, SYNTHETIC = "model.onnx", "model.keras", "windows.npz"
CARD, PARAMETERS, STUDY, REPORT, EVALUATION = (
    "MODEL_CARD.md",
    "parameters.json",
    "study.json",
    "report.json",
    "evaluation.json",
)
SAVED_MODEL = (
    "saved_model/fingerprint.pb",
    "saved_model/saved_model.pb",
    "saved_model/variables/variables.data-00000-of-00001",
    "saved_model/variables/variables.index",
)
REQUIRED = frozenset({CARD, KERAS, ONNX, PARAMETERS, STUDY, SYNTHETIC, *SAVED_MODEL})
OPTIONAL = frozenset({EVALUATION, REPORT})
"""Members beside the manifest and its digest. There are no others."""

_MIB = 1 << 20
SMALL = {MANIFEST: _MIB, DIGEST: 1 << 10, CARD: _MIB, PARAMETERS: _MIB, STUDY: _MIB, SYNTHETIC: 256 * _MIB}
"""Member -> bytes that it may have at most."""
LARGEST = (1 << 31) - 1
"""Bytes of any other member: no protobuf file, which the models are, can be larger."""
MOST_VALUES = 1 << 24
"""Of one window: time steps times channels."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _printable(text: str) -> str:
    """A name that a terminal shows as it is: what steers a terminal does not get there out of a stranger's file."""
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


Name = Annotated[str, Field(max_length=500), AfterValidator(_printable)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Member(_Value):
    """One file of the bundle, by content."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class Weights(_Value):
    """Where the trained weights come from.

    Attributes:
        origin: in words.
        sha256: of the weights in this bundle, in the model's order, constants of the scaling layer left out.
        recorded_sha256: what the study recorded for the same training; None where it recorded none.
        same: whether the two agree; None where nothing was recorded.
    """

    origin: Name
    sha256: Sha256
    recorded_sha256: Sha256 | None
    same: bool | None


class Conversion(_Value):
    """How ONNX was compared with Keras before the bundle was written.

    Attributes:
        opset: of ONNX.
        windows: real ones that both predicted.
        largest_difference: between two probabilities of the same window and class.
    """

    opset: Annotated[int, Field(ge=1)]
    windows: Annotated[int, Field(ge=1)]
    largest_difference: Annotated[float, Field(ge=0, le=TOLERANCE)]


class Data(_Value):
    """The data set and the split, by content."""

    name: Name
    sha256: Sha256
    split_sha256: Sha256


class Code(_Value):
    """The commit that the bundle was made with; `changed` where files of hpo differed from it."""

    revision: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")]
    changed: bool


class About(_Value):
    """What a bundle's model is, and all that one needs to use it.

    Attributes:
        format: `FORMAT`.
        timesteps: of a window, or of the longest. channels: names, in the order of a window's last axis.
        padded: windows may be shorter: at their end, steps are NaN in all channels.
        classes: names in label order, which is that of the probabilities.
        metric, value: the validation score: of the trial, or if it was evaluated, its mean over fresh seeds.
        versions: of the libraries that trained the model and made the bundle.
        code: None where it does not come out of a checkout.
    """

    format: Literal[1]
    study: Name
    trial: Annotated[int, Field(ge=0)]
    family: Name
    seed: Annotated[int, Field(ge=0)]
    metric: Name
    value: float
    timesteps: Annotated[int, Field(ge=1)]
    padded: bool
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    classes: Annotated[tuple[Name, ...], Field(min_length=2)]
    weights: Weights
    conversion: Conversion
    data: Data
    versions: dict[Name, Name]
    code: Code | None

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for what, names in (("channels", self.channels), ("classes", self.classes)):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"two {what} are called {twice[0]!r}")
        return self

    @model_validator(mode="after")
    def _no_giant(self) -> Self:
        if (values := self.timesteps * len(self.channels)) > MOST_VALUES:
            raise ValueError(f"a window has {values} values; accepted: up to {MOST_VALUES}")
        return self


class Manifest(About):
    """A bundle's table of contents.

    Attributes:
        members: every file but the manifest and its digest.
    """

    members: dict[str, Member]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = REQUIRED - self.members.keys()
        unknown = self.members.keys() - REQUIRED - OPTIONAL
        if missing or unknown:
            problems = [f"lists no {name}" for name in sorted(missing)]
            raise ValueError("; ".join([*problems, *(f"lists {name!r}" for name in sorted(unknown))]))
        return self


class _Format(BaseModel):
    format: int


def parse(content: bytes) -> Manifest:
    """The manifest in the bytes of its file.

    Raises:
        DataError: it is none, or one of a newer format; every mistake is named.
    """
    try:
        found = _Format.model_validate_json(content).format
        if found > FORMAT:
            raise DataError(
                f"the bundle's format is {found}, and this hpo knows formats up to {FORMAT}; use a newer hpo"
            )
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        problems = [
            f"{ascii('.'.join(map(str, details['loc'])))[1:-1]}: {details['msg']}".removeprefix(": ")
            for details in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise DataError(f"{MANIFEST} is not a bundle's manifest: {'; '.join(problems[:20])}") from error
