"""How the model's own service does: how long predictions take, how many fail, how many there are."""
