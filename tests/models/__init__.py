"""Tests of hpo/models."""
