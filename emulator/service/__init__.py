"""What HealthImaging does; nothing in here knows that a test exists."""
