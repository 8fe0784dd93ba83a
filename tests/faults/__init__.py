"""Faults injected for real, at random moments, and an independent check of what the database holds afterwards."""
