"""Forecasts as chunk jobs: methods fitted and scored, networks trained, points and tiles predicted."""
