"""Models in memory: their folders, their versions, and how a version is loaded, checked and run."""
