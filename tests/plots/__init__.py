"""Tests of hpo/plots."""
