"""The training loop: steps, losses, inputs, callbacks, early stopping and loss spikes."""
