"""Questions to AWS that nobody has answered in public, and the answers that the emulator gives instead."""
