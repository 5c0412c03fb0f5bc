"""Where metrics come from: one protocol, one file per kind of source."""
