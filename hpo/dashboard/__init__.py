"""Optuna Dashboard behind a door of ours: who comes in, what they may do, and what they see of a study besides.

Optuna Dashboard knows no users, no roles and no forged requests. Nothing reaches it here but what `policy` names, and
it reads by a storage whose database refuses every change. See docs/dashboard.md and docs/decisions/0023.
"""
