"""`kbert quickstart`: the whole way, from raw text to a served model, on text that every installation has."""
