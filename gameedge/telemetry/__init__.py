"""Metrics, quantiles and logs: every metric and every log field is declared once, with its unit and its reason."""
