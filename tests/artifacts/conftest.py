"""The tests of the supervisor share the same things."""

from tests.worker.conftest import bench, cache, data_record

__all__ = ["bench", "cache", "data_record"]
