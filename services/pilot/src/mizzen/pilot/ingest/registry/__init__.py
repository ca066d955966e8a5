"""Registries of services and their endpoints."""
