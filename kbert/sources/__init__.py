"""Text of any form to documents: files of several formats, and public datasets by name."""
