"""Surges: hours in which a topic has more headlines, or more negative ones, than its past explains."""
