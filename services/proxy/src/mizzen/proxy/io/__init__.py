"""Everything that owns a socket, an event loop or a clock."""
