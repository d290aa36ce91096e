"""How fast the emulator is beside its peers, as ratios of one run. ``make bench`` writes RESULTS.md and results.svg."""
