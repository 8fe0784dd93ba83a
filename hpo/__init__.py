"""Tunes time-series classifiers as a service: one study file, one shared study, no lost result."""

__version__ = "0.2.0"
