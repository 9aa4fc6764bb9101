"""Privacy: masking of personal data in files, the accounting of differential privacy, measures of membership."""
