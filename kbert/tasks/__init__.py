"""The tasks, one file each: how its examples are read, its head, loss, metrics and answers."""
