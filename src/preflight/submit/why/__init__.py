"""`preflight why`: what became of a job, from Slurm and its reports. `gather` reads, `explain` judges, `text` shows."""
