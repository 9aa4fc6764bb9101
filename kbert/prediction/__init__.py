"""A loaded model: answers for texts, metrics of files, and feature vectors."""
