"""Tests of one trial's training."""
