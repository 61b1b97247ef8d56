"""How SMS leave: one module per protocol, all answering in the same four words."""
