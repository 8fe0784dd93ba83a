"""Tests of `hpo evaluate` and its steps."""
