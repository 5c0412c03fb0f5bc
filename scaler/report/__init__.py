"""What the pages for people are built from: plots, a style sheet, and a document that stands alone."""
