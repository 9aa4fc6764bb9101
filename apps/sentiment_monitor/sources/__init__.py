"""Where headlines come from. Each kind of source has a method `poll` (sources/source.py)."""
