"""TLS of our own two ports: the files, what is wrong with them, and that changed ones are taken up."""
