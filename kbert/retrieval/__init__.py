"""Search by meaning: an index of vectors, and what is found in it."""
