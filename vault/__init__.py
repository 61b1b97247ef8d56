"""Who may read it: data keys per household and purpose, sealing and opening."""
