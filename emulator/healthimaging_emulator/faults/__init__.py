"""Fault injection: the language, the engine, and one file for each kind of fault."""
