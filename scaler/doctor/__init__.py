"""What could keep a server from serving, checked one by one, each with how to mend it."""
