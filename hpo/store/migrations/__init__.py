"""The steps from one version of our tables to the next, as alembic runs them; see hpo/store/schema.py."""
