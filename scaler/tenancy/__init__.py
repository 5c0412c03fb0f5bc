"""Who may read what, and how much of this server each namespace may take (docs/tenancy.md)."""
