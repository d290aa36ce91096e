"""How a caller gets here: over a socket, or in process."""
