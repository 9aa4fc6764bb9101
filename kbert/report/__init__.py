"""Reports: self-contained HTML pages with tables and charts, no script and nothing to load."""
