"""The adapters that come with Mixer, a module or folder each; `registry` finds them by name."""
