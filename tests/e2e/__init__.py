"""The whole product: real processes, started as a user starts them."""
