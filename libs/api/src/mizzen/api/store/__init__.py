"""Resources of watched folders: what a mesh without Kubernetes has for a configuration store."""
