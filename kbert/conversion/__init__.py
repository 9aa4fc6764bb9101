"""Foreign model formats: one file a format, tables of tensor names, and a parity check of every conversion."""
