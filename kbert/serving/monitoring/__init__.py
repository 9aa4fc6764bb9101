"""What people see of a running server: metrics and a log of requests."""
