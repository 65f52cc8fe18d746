"""Measures of how good the answers are. Started as `python -m benchmarks.quality`."""
