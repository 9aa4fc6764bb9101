"""One file a task: how its examples are read, its head, loss, metrics and answers."""
