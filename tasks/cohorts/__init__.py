"""A reader per data source, and the cohort they write."""
