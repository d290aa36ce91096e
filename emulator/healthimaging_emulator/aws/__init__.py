"""The protocol that AWS services of this kind share; nothing here knows HealthImaging."""
