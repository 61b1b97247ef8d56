"""How it is said safely: consume, decide, save and publish, exactly once in effect."""
