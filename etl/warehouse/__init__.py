"""The only package that knows duckdb."""
