"""The event log as Parquet files: how they lie in a folder, and how they get there."""
