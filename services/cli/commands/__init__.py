"""One module per command; each adds itself to the application by `register(app)`."""
