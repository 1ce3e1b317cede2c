"""What people browse: MLflow runs, registered versions, Prefect artifacts."""
