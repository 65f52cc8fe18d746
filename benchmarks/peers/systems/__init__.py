"""One file per search engine, each behind `System`."""
