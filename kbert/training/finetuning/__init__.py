"""Fine-tuning: the plan of a run, its model, the training, and the model folder that it writes."""
