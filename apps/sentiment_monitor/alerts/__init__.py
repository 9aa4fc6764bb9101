"""Alerts, and the channels on which they are sent."""
