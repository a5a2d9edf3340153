"""Programs for those who work on the repository; `make` runs them."""
