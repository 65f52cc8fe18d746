"""How latency, memory, recall and starts grow with the number of products."""
