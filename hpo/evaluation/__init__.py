"""The honest winner: the best configurations on fresh seeds, then one look at the test part.

`flow` is what `hpo evaluate` does; the other modules are its steps. Nothing is imported here, because the process that
opens the test part must not hold the store.
"""
