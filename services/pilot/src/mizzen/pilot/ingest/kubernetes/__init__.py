"""What Pilot tells a Kubernetes API server: the status of the resources that it read there (mizzen.kubernetes)."""
