"""Who is entitled to what, and why: programmes as data, pure scoring, a decision per household and cycle."""
