"""The page of the server, on which people try the served models, and the OpenAPI document."""
