"""The `kbert` program: each command parses, makes one library call and reports."""
