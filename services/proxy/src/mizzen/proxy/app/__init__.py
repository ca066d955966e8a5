"""The composition root: settings, the agent's and the worker's object graphs, the admin server."""
