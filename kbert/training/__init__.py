"""The training loop, and the two trainings made of it: pretraining and fine-tuning."""
