"""The control API under /_emulator, and its Python client."""
