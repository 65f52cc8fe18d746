"""Vitrina's processes: each folder but `common` is one, started by `python -m services.<name>`."""
