"""What a run shows: progress, metrics, TensorBoard, throughput."""
