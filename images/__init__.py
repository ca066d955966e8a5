"""Builds the container images: `python -m images --help`, or `make images`. No part of any image."""
