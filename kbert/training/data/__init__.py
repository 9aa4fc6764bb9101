"""The data of fine-tuning: examples, validation folds, data augmentation and batches."""
