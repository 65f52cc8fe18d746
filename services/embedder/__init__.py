"""Text to vectors: the only process that talks to models."""
