"""Monitoring of a run: progress, metrics, TensorBoard and throughput."""
