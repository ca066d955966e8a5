"""The registry of a mesh of containers.

A registrar reads their labels from the Docker API and writes the folder of Services, Pods and EndpointSlices that Pilot
and Mixer watch, so that neither needs Docker's socket (ADR 7).

`labels`, `pods` and `endings` decide, `docker` asks, `registrar` holds them together. docs/install/compose.md has the
labels.
"""
