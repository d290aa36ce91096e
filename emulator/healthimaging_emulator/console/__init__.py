"""The console: a web page at the root of the control API, which uses the control API and nothing else."""
