"""Making a scraped series fit to learn from: gaps, outliers, resampling, seasons, calendar."""
