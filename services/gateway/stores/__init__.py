"""The tiers of the cache."""
