"""Where secrets come from besides the workload's own certificate."""
