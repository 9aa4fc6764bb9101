"""Models. Each gives a score to every item for a user; larger is better."""
