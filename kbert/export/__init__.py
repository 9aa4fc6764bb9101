"""Models out of kbert: SavedModels that take text, and LiteRT models for phones."""
