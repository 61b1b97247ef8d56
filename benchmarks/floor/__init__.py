"""The least that a correct pipeline could do: four bare processes (benchmarks/README.md)."""
