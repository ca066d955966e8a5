"""What the agent does for its Pod on port 15020: readiness, merged metrics, the application's probes, its end."""
