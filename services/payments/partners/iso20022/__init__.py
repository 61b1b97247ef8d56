"""Files banks exchange: pain.001 out, pain.002 and camt.053/054 in, one row at a time."""
