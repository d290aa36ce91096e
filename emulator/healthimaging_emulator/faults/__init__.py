"""Fault injection: the language (``fault``), the engine, and one file for each kind of fault."""
