"""The devices of a run: distribution strategies, several machines, precision and XLA."""
