"""How files hold items: lines, documents, Parquet, archives, compressed or not; and the strict judge of JSON."""
