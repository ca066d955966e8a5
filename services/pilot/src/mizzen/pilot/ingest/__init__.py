"""Where resources come from: folders of YAML (and memory, for tests), each store reporting what changed."""
