"""Who asks a server of the mesh: tokens of service accounts, and who may see what they ask for."""
