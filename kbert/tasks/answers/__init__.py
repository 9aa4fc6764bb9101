"""From the outputs of a model to answers and their scores, for tasks that find parts of a text."""
