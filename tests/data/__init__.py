"""Tests of hpo/data."""
