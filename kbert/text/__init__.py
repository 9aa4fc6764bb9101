"""Text to token ids: normalization, WordPiece, vocabulary training, in Python and inside a TF graph."""
