"""The steps of the pipeline: Beam around stylecore."""
