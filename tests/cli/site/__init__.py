"""A folder for PYTHONPATH: what lies in it watches the processes that a test starts."""
