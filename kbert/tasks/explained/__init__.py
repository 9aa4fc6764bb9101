"""What explanations need of each task: the explained part of an answer, and the places of tokens."""
