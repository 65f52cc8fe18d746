"""The catalog and the embedder, as the domain sees them."""
