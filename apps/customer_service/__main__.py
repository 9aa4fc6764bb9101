"""Runs the app: `python -m apps.customer_service`."""

from apps.customer_service.cli import main

if __name__ == "__main__":
    main(prog_name="python -m apps.customer_service")
