"""What learned forecasters look at: numbers about the recent past that do not depend on a series' unit."""
