"""Measurements of the whole product beside their floors, in one run. Started by `make bench`."""
