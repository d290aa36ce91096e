"""Seeds: the documents that say what an emulator begins with."""
