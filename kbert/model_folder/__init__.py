"""Model folders: their files, the tensors in them, and downloads from the Hugging Face Hub."""
