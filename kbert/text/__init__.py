"""Converts text to token ids (normalization, WordPiece), in Python and in TensorFlow graphs; trains vocabularies."""
