"""Ways for a request to reach the core."""
