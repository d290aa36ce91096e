"""Seeds: documents that describe the initial state of an emulator."""
