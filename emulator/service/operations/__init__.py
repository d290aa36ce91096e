"""One file an operation: its input, its output and its handler."""
