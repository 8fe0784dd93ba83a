"""Windows from recordings: none crosses a border, each has the label that its rule says, nothing else is left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.data._windows import Rule, blocks, cut, label_of, segment_starts


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    length=st.integers(1, 12),
    stride=st.none() | st.integers(1, 15),
    parts=st.integers(1, 5),
)
def test_windows_stay_within_their_segment(sizes: list[int], length: int, stride: int | None, parts: int) -> None:
    """A window lies in one segment and one block; those of a segment begin a stride apart, as many as have room."""
    segment = np.repeat(np.arange(len(sizes)), sizes)
    rows = len(segment)
    block = blocks(segment_starts(segment), rows, parts)
    assert block.min() == 0
    assert block.max() < parts
    starts = np.union1d(segment_starts(segment), segment_starts(block))
    found = cut(starts, rows, length, stride)
    for begin, end in zip(found.begins, found.ends, strict=True):
        assert end - begin == length
        assert len(set(segment[begin:end])) == len(set(block[begin:end])) == 1
    ends = [*starts[1:], rows]
    assert found.short == sum(b - a < length for a, b in zip(starts, ends, strict=True))
    for k, (a, b) in enumerate(zip(starts, ends, strict=True)):
        assert found.begins[found.segments == k].tolist() == list(range(a, b - length + 1, stride or length))


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5), parts=st.integers(1, 6))
def test_blocks_are_about_equal(sizes: list[int], parts: int) -> None:
    """The blocks of a segment follow each other and differ in size by one row at most."""
    segment = np.repeat(np.arange(len(sizes)), sizes)
    block = blocks(segment_starts(segment), len(segment), parts)
    for k, size in enumerate(sizes):
        own = block[segment == k]
        assert (np.diff(own) >= 0).all()
        counts = np.bincount(own, minlength=parts)
        assert counts.sum() == size
        assert counts.max() - counts.min() <= 1


def test_without_a_length_each_segment_is_a_sample() -> None:
    """A recording is one sample then, however long."""
    found = cut(np.array([0, 3, 4]), 9, None, None)
    assert (found.begins.tolist(), found.ends.tolist(), found.short) == ([0, 3, 4], [3, 4, 9], 0)


@pytest.mark.parametrize(
    ("codes", "labels"),
    [
        ([1, 1, 1], {"majority": 1, "last": 1, "pure": 1}),
        ([2, 0, 2], {"majority": 2, "last": 2, "pure": None}),
        ([2, 2, 0, 0], {"majority": 2, "last": 0, "pure": None}),
        ([0, 1, 1, 0, 2], {"majority": 0, "last": 2, "pure": None}),
    ],
)
def test_label_rules(codes: list[int], labels: dict[Rule, int | None]) -> None:
    """The most frequent label, of equals the first; the last one; or none where there are several."""
    assert {rule: label_of(codes, rule) for rule in labels} == labels
