"""Tests of hpo/launch."""
