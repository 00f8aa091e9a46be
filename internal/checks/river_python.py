#!/usr/bin/env python3
"""Enqueues flights with River's Python client, as another application would.

Its plain inserts carry no unique key and go to River's default queue. Two of
them name one flight, and the SQL interface enqueues it as well; it must be
billed once.

DATABASE_URL is a migrated database without data; FLIGHTBILL_BINARY the built
command. Needs riverqueue 0.7.0, SQLAlchemy 2 and psycopg 3.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

import sqlalchemy
from riverqueue import Client
from riverqueue.driver import riversqlalchemy

DATA = """
WITH c AS (INSERT INTO flightbill.customers (code, name, billing_frequency) VALUES ('EACH', 'Single Air', 'per_flight') RETURNING id)
INSERT INTO flightbill.customer_operators SELECT 'EACH', id FROM c;
INSERT INTO flightbill.tariffs (code, basis, applies_to, unit_rate, currency, valid_from) VALUES ('FEE', 'per_flight', 'any', 5, 'EUR', '2012-01-01');
INSERT INTO flightbill.flights (flight_id, operator, landed_at) VALUES ('PY1', 'EACH', '2013-01-02'), ('PY2', 'EACH', '2013-01-02');
"""


@dataclass
class IngestFlight:
    flight_id: str
    kind: str = "ingest_flight"

    def to_json(self) -> str:
        return json.dumps({"flight_id": self.flight_id})


def main() -> None:
    url = os.environ["DATABASE_URL"]
    # The client knows no schema: it finds River's tables by the search path.
    engine = sqlalchemy.create_engine(url.replace("postgres://", "postgresql+psycopg://", 1), connect_args={"options": "-c search_path=flightbill"})
    with engine.begin() as connection:
        connection.exec_driver_sql(DATA)
    with engine.begin() as connection:
        client = Client(riversqlalchemy.Driver(connection))
        for flight_id in ("PY1", "PY1", "PY2"):
            client.insert(IngestFlight(flight_id))
        connection.exec_driver_sql("INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('PY1')")

    def ask(query: str):
        with engine.connect() as connection:
            return connection.exec_driver_sql(query).scalar()

    environment = {**os.environ, "FLIGHTBILL_HTTP_ADDR": "127.0.0.1:0", "FLIGHTBILL_RESULTS": ""}
    serve = subprocess.Popen([os.environ["FLIGHTBILL_BINARY"], "serve"], env=environment)
    try:
        deadline = time.monotonic() + 90
        while ask("SELECT count(*) FROM flightbill.flight_processing_queue") > 0:
            if time.monotonic() > deadline:
                sys.exit("flights enqueued with River's Python client were not billed within 90 s")
            time.sleep(0.2)
    finally:
        serve.terminate()
        serve.wait(timeout=40)
    charges = ask("SELECT string_agg(flight_id, ' ' ORDER BY flight_id) FROM flightbill.charges")
    if charges != "PY1 PY2":
        sys.exit(f"expected one charge for each of PY1 and PY2, found: {charges}")
    print("OK: three jobs of River's Python client and one of SQL: two flights, each billed once")


if __name__ == "__main__":
    main()
