"""The batches of fine-tuning: examples, validation folds, augmentation."""
