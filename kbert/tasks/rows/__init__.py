"""From examples to rows of tokens and their targets, for tasks whose rows are not plain texts or pairs."""
