"""Members that operations share, each with its constraints; one file per resource.

Names, constraints and order are those of AWS's model (service id ``medical-imaging``, API version 2023-07-19).
"""
