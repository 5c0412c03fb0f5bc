"""Training of what is learned across series; needs torch, as nothing that serves does."""
