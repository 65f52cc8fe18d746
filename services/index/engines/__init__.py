"""Nearest neighbours, one file per technology."""
