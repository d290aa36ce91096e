"""What a test sets up and bends; the only writer of the store besides the operations."""
