"""All that changes the process: environment variables, signals, log handlers, memory pages, standard error.

The rest of kbert leaves the process as it is. The command line calls these functions; Python programs call
`kbert.prepare_runtime()` if they want the same settings.
"""
