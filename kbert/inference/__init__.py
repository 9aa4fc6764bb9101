"""The encoder written for inference: graphs of few operations, and engines that run them."""
