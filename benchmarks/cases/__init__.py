"""One file a case, or a few that belong together; listed in ``benchmarks/registry.py``."""
