"""The training loop: steps, losses, inputs, and what ends or skips a step."""
