"""What one writes from the FastStream manual: message by message (benchmarks/README.md)."""
