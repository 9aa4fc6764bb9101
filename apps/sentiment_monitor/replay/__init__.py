"""A measurement of the rule: real headlines are replayed with simulated times and planted surges."""
