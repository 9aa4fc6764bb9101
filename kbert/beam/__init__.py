"""Jobs on Apache Beam (extra `beam`): the options of a runner, and how a pipeline is made and run."""
