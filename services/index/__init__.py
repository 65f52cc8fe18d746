"""Vectors and the columns that filters need, one collection a space; follows the catalog."""
