"""The zip of a bundle: the same content gives the same bytes, and a changed byte is noticed wherever it is."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from hpo.bundle import open_bundle, write_bundle
from hpo.bundle.manifest import DIGEST, MANIFEST, REPORT, REQUIRED
from hpo.errors import DataError, UsageError
from tests.bundle.made import GOLDEN, contents, entries, sealed, zipped

MEMBERS = sorted(contents())


def test_an_earlier_bundle_is_read() -> None:
    """The bundle in the repository is one, with all of its members and what its manifest says."""
    bundle = open_bundle(GOLDEN)
    assert set(MEMBERS) == REQUIRED | {REPORT, MANIFEST, DIGEST}
    assert bundle.digest == hashlib.sha256(contents()[MANIFEST]).hexdigest()
    assert (bundle.manifest.study, bundle.manifest.timesteps, bundle.manifest.channels) == (
        "golden", 16, ("channel_0", "channel_1"),
    )  # fmt: skip
    assert bundle.read("model.onnx") == contents()["model.onnx"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the time is and in whatever order the members come."""
    bundle = open_bundle(GOLDEN)
    backwards = {name: bundle.read(name) for name in sorted(bundle.manifest.members, reverse=True)}
    written = write_bundle(tmp_path / "again.zip", bundle.manifest, backwards)
    assert (tmp_path / "again.zip").read_bytes() == GOLDEN.read_bytes()
    assert written.digest == bundle.digest
    assert [path.name for path in tmp_path.iterdir()] == ["again.zip"]


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    """`sha256sum -c manifest.sha256` checks the manifest of an unpacked bundle."""
    said, name = contents()[DIGEST].decode().split("  ")
    assert (said, name) == (hashlib.sha256(contents()[MANIFEST]).hexdigest(), f"{MANIFEST}\n")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_flipped_byte_is_refused(tmp_path: Path, name: str) -> None:
    """In any member, in the file itself, and where somebody zipped it again so that the zip's own sums agree."""
    content = bytearray(contents()[name])
    whole = bytearray(GOLDEN.read_bytes())
    with zipfile.ZipFile(GOLDEN) as archive:
        begins = archive.getinfo(name).header_offset + 30 + len(name)
    for at in (0, len(content) // 2, len(content) - 1):
        content[at] ^= 1
        whole[begins + at] ^= 1
        in_place, again = tmp_path / "in-place.zip", tmp_path / "again.zip"
        in_place.write_bytes(whole)
        zipped(again, entries({**contents(), name: bytes(content)}))
        for path in (in_place, again):
            with pytest.raises(DataError, match="refused"):
                open_bundle(path)
        content[at] ^= 1
        whole[begins + at] ^= 1


def test_no_byte_is_spare(tmp_path: Path) -> None:
    """A changed byte between the members, in the zip's own headers, is refused, whether it says something or not."""
    whole, path = bytearray(GOLDEN.read_bytes()), tmp_path / "flipped.zip"
    with zipfile.ZipFile(GOLDEN) as archive:
        *_, last = (info.header_offset for info in archive.infolist())
        directory = archive.start_dir
    for at in [*range(60), *range(last, last + 30, 3), *range(directory, directory + 60), *range(-82, 0)]:
        whole[at] ^= 0x41
        path.write_bytes(whole)
        with pytest.raises(DataError):
            open_bundle(path)
        whole[at] ^= 0x41


def test_a_bundle_that_changes_after_it_was_opened(tmp_path: Path) -> None:
    """What is read later is hashed again."""
    path = sealed(tmp_path / "b.zip")
    bundle = open_bundle(path)
    sealed(path, {"model.onnx": b"another"})
    with pytest.raises(DataError, match=r"model\.onnx was changed: it has 7 bytes"):
        bundle.read("model.onnx")


def test_a_bundle_that_cannot_be_written(tmp_path: Path) -> None:
    """Says so, and leaves nothing behind."""
    bundle = open_bundle(GOLDEN)
    members = {name: bundle.read(name) for name in bundle.manifest.members}
    with pytest.raises(UsageError, match=r"cannot write .*: No such file or directory"):
        write_bundle(tmp_path / "nowhere" / "b.zip", bundle.manifest, members)
    with pytest.raises(DataError, match=r"refused: study\.json was changed"):
        write_bundle(tmp_path / "b.zip", bundle.manifest, {**members, "study.json": b"{}"})
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_tells_no_lies(tmp_path: Path) -> None:
    """Each of its mistakes is named, and one of a newer format says what to do."""
    cases = {
        r"manifest\.json is not a bundle's manifest: trial: .*; surprise: ": {"trial": -1, "surprise": 1},
        "two classes are called 'left'": {"classes": ["left", "left"]},
        "the bundle's format is 2, and this hpo knows formats up to 1; use a newer hpo": {"format": 2},
        "classes.0: .*characters that cannot be printed": {"classes": ["\x1b[31mred", "b"]},
        "largest_difference": {"conversion": {"opset": 18, "windows": 1, "largest_difference": 0.1}},
    }
    for message, change in cases.items():
        path = sealed(tmp_path / "b.zip", about=lambda manifest, change=change: manifest.update(change))  # type: ignore[misc]  # mypy knows no default in a lambda
        with pytest.raises(DataError, match=message):
            open_bundle(path)
    path = sealed(tmp_path / "b.zip", {MANIFEST: json.dumps({"members": {}}).encode()})
    with pytest.raises(DataError, match="format: Field required"):
        open_bundle(path)
