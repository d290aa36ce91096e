"""AWS HealthImaging: its shapes, its state and its operations."""
