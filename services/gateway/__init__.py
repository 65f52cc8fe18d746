"""The public face: answers queries from cache, embedder, index and catalog."""
