"""The real UCI HAR and Earthquakes files: the numbers that their publishers state."""

from pathlib import Path

import numpy as np
import pytest

from hpo.data import load, open_test, prepare, uci_har, ucr
from hpo.data.split import make_split

HAR_TRAIN_SUBJECTS = [1, 3, 5, 6, 7, 8, 11, 14, 15, 16, 17, 19, 21, 22, 23, 25, 26, 27, 28, 29, 30]
HAR_TEST_SUBJECTS = (2, 4, 9, 10, 12, 13, 18, 20, 24)


@pytest.mark.timeout(300)  # unpacking 180 MB of xz, and parsing it
def test_uci_har(unpacked: Path, tmp_path: Path) -> None:
    """UCI HAR has the published sizes, class counts, subjects and units, and splits by subject."""
    data = load(uci_har.Options(path=str(unpacked)), tmp_path)
    assert data.shape == (128, 9)
    assert (len(data.train.y), data.n_test) == (7352, 2947)
    assert data.class_counts_train == (1226, 1073, 986, 1286, 1374, 1407)
    assert data.class_counts_test == (496, 471, 420, 491, 532, 537)
    assert data.classes == (
        "WALKING",
        "WALKING_UPSTAIRS",
        "WALKING_DOWNSTAIRS",
        "SITTING",
        "STANDING",
        "LAYING",
    )
    assert data.train.groups is not None
    assert np.unique(data.train.groups).tolist() == HAR_TRAIN_SUBJECTS
    assert data.test_groups == HAR_TEST_SUBJECTS
    # Gravity is in the total acceleration and not in the body's: the first three channels are the total ones.
    norms = np.linalg.norm(data.train.x.reshape(-1, 3, 3).mean(axis=0), axis=1)
    assert 0.7 < norms[0] < 1.1
    assert norms[1] < 0.1
    test = open_test(data.sha256, tmp_path)
    assert test.x.shape == (2947, 128, 9)
    assert test.groups is not None
    assert tuple(np.unique(test.groups).tolist()) == HAR_TEST_SUBJECTS

    split = make_split(
        data.train.y,
        data.train.groups,
        by="group",
        folds=1,
        validation=0.2,
        stopping=0.1,
        seed=0,
        data_sha256=data.sha256,
    )
    assert len(prepare(data, split, tmp_path)) == 1


def test_earthquakes(unpacked: Path, tmp_path: Path) -> None:
    """The four formats of Earthquakes are one data set, with the 2018 archive's sizes and class counts."""
    folder = unpacked / "Earthquakes"
    loaded = [
        load(ucr.Options(path=str(folder / f"Earthquakes_TRAIN{suffix}")), tmp_path)
        for suffix in (".txt", ".tsv", ".ts", ".arff")
    ]
    assert len({data.sha256 for data in loaded}) == 1
    data = load(ucr.Options(path=str(unpacked), name="Earthquakes"), tmp_path)
    assert data.sha256 == loaded[0].sha256
    assert data.shape == (512, 1)
    assert data.classes == ("0", "1")
    assert (data.class_counts_train, data.class_counts_test) == ((264, 58), (104, 35))
