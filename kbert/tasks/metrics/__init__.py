"""The metrics of the tasks, computed from examples and answers."""
