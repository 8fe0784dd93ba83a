"""Tests of hpo/report."""
