"""`gnomon pipeline`: run builds of steps, once or on a schedule, and list their runs."""
