"""Processes that die while others write and search."""
