"""Bundles: what is in them, what is refused, what serves them."""
