"""What the tests of notices share with those of the supervisor."""

from tests.worker.conftest import bench, cache, data_record

__all__ = ["bench", "cache", "data_record"]
