"""One file per method, readable next to its paper; its presets stand beside it in `<name>.yaml`."""
