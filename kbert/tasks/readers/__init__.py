"""Files and tables to the examples of each task."""
