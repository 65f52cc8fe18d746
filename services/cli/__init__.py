"""The `vitrina` command."""
