"""LiteRT (TFLite) models for apps on phones."""
