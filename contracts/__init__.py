"""What is said: every event of Tonle as a frozen model, and how it becomes a CloudEvents record."""
