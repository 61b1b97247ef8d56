"""How payment partners are told and heard: one module per way of talking."""
