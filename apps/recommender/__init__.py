"""Recommends items to users, by the texts of the items and by what other users liked.

data/        items and ratings as files, the split by time, and pairs of items for fine-tuning
models/      popularity, matrix factorization, text vectors by kbert, and what joins them
evaluation/  the metrics, the comparison of the models, and the report
commands     the command line
"""
