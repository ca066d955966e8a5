"""Keys of issuers of tokens, fetched from where they are published, and kept while that place cannot be reached."""
