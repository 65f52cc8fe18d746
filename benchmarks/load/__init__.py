"""The gateway under a native client's load, beside a bare server. Started by `make bench-load`."""
