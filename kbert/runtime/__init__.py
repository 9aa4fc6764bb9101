"""The process that kbert runs in: its environment variables, signals and memory pages."""
