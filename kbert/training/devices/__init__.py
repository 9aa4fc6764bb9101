"""Where a run computes: devices, several machines, precision, XLA."""
