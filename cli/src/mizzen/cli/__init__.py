"""The `mizzen` command line and the local mesh that it runs."""
