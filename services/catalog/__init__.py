"""The truth about products, and the feed of what changed."""
