"""The compose runtime: a mesh as the containers of compose/docker-compose.yaml.

Compose starts, orders and ends them. What is left to do is here: to choose a compose command (`command`), to prepare
the folder that the containers mount and to wait until they serve (`up`), and to look at them (`containers`, `mesh`).
"""
