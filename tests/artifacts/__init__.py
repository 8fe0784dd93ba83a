"""Tests of the artifact store, and of how files come to it."""
