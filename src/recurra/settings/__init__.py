"""Every option, its default and the known names, without torch: frozen dataclasses that are also TOML."""
