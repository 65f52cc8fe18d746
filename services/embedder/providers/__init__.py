"""One file per technology that makes vectors, behind the Protocol in `base`."""
