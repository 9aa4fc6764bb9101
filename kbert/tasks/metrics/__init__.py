"""Examples and answers to numbers."""
