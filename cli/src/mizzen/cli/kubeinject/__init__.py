"""`mizzen kube-inject`: sidecars into YAML files, whose text stays as it is wherever nothing changes."""
