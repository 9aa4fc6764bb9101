"""Pruning: the importance of blocks and neurons, and models without the least important ones."""
