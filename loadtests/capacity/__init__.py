"""How far one Redis and one Postgres reach: measured unit costs, and what follows from them."""
