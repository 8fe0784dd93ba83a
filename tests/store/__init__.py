"""Tests of hpo/store."""
