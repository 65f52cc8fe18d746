"""Durable state of a collection, one file per technology."""
