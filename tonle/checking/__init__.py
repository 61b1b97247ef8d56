"""What `tonle check` reads and compares: every database, every topic, and the outside world's own records."""
