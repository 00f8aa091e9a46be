-- What the contenders that are not flightbill use, in a database that has
-- flightbill's tables: they save into the same ones, under the same constraints,
-- triggers and foreign keys.

-- The queue table that is polled.
CREATE TABLE public.peer_queue (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    flight_id  text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The least that a save must do, in one round trip: the ledger row, the draft
-- found or opened, the charges. It knows no settings, holds, cut-offs, late
-- flights, changed prices or lost jobs, which flightbill's own save checks.
CREATE FUNCTION public.save_by_peer(
    flight_id text, customer_id bigint, landed_on date, facts jsonb, closes_on date,
    tariff_ids bigint[], quantities numeric[], amounts numeric[], taxes numeric[]
) RETURNS void
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    invoice bigint;
BEGIN
    INSERT INTO flightbill.billed_flights AS b (flight_id, customer_id, landed_on, facts, billed_at)
    VALUES (save_by_peer.flight_id, save_by_peer.customer_id, save_by_peer.landed_on, save_by_peer.facts, now())
    ON CONFLICT (flight_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    LOOP
        SELECT i.id INTO invoice FROM flightbill.invoices i
        WHERE i.customer_id = save_by_peer.customer_id AND i.currency = 'EUR'
            AND i.closes_on = save_by_peer.closes_on AND i.kind = 'consolidated' AND i.status <> 'VOID';
        EXIT WHEN FOUND;
        INSERT INTO flightbill.invoices AS i (customer_id, kind, closes_on, currency)
        VALUES (save_by_peer.customer_id, 'consolidated', save_by_peer.closes_on, 'EUR')
        ON CONFLICT DO NOTHING;
    END LOOP;
    INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
    SELECT invoice, save_by_peer.flight_id, t.id, t.code, t.description, l.quantity, t.unit_rate, l.amount, t.tax_rate, l.tax, save_by_peer.landed_on
    FROM unnest(tariff_ids, quantities, amounts, taxes) AS l (tariff_id, quantity, amount, tax) JOIN flightbill.tariffs t ON t.id = l.tariff_id;
END
$$;

-- The same for a batch: three statements, however many flights.
CREATE FUNCTION public.save_many_by_peer(bills jsonb) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO flightbill.invoices (customer_id, kind, closes_on, currency)
    SELECT DISTINCT n.customer_id, 'consolidated', n.closes_on, 'EUR'
    FROM jsonb_to_recordset(bills) AS n (customer_id bigint, closes_on date)
    WHERE NOT EXISTS (
        SELECT FROM flightbill.invoices i
        WHERE i.customer_id = n.customer_id AND i.currency = 'EUR' AND i.closes_on = n.closes_on
            AND i.kind = 'consolidated' AND i.status <> 'VOID')
    ORDER BY n.customer_id, n.closes_on -- two batches must not wait for each other in a circle
    ON CONFLICT DO NOTHING;

    WITH bill AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(bills) AS n (flight_id text, customer_id bigint, landed_on date, facts jsonb, closes_on date,
            tariff_ids bigint[], quantities numeric[], amounts numeric[], taxes numeric[])
    ), ledger AS (
        INSERT INTO flightbill.billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
        SELECT flight_id, customer_id, landed_on, facts, now() FROM bill ORDER BY flight_id
        ON CONFLICT (flight_id) DO NOTHING
        RETURNING flight_id
    )
    INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
    SELECT i.id, b.flight_id, t.id, t.code, t.description, l.quantity, t.unit_rate, l.amount, t.tax_rate, l.tax, b.landed_on
    FROM ledger JOIN bill b USING (flight_id)
        JOIN flightbill.invoices i ON i.customer_id = b.customer_id AND i.currency = 'EUR' AND i.closes_on = b.closes_on
            AND i.kind = 'consolidated' AND i.status <> 'VOID'
        CROSS JOIN LATERAL unnest(b.tariff_ids, b.quantities, b.amounts, b.taxes) AS l (tariff_id, quantity, amount, tax)
        JOIN flightbill.tariffs t ON t.id = l.tariff_id;
END
$$;
