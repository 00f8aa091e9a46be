-- Who may do what. flightbill's commands and other applications log in as members of
-- these roles, and the owner of the tables, who could undo what was issued, only
-- migrates. A migration that makes a table, a view, a sequence or a function says at
-- its end who may use it: TestRights lists all of them, and fails where one has no
-- line. 00007_queue.sql makes the roles, and gives those of the queue their rights.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

GRANT USAGE ON SCHEMA flightbill TO flightbill_server, flightbill_reporter, flightbill_accountant;

-- All three read what reports read, and which migrations there are.
GRANT SELECT ON flightbill.customers, flightbill.customer_operators, flightbill.customer_aircraft, flightbill.tariffs, flightbill.flights,
        flightbill.aircraft, flightbill.aircraft_types, flightbill.airports, flightbill.airport_codes,
        flightbill.billed_flights, flightbill.invoices, flightbill.charges, flightbill.voided_flights, flightbill.invoice_events,
        flightbill.issuers, flightbill.currency_rates, flightbill.invoice_taxes, flightbill.payments, flightbill.invoice_balances,
        flightbill.billing_runs, flightbill.billing_settings, flightbill.price_book,
        flightbill.billing_calendar, flightbill.billing_days, flightbill.changed_flights, flightbill.overlapping_flights, flightbill.unmatched_codes,
        flightbill.flight_processing_queue, flightbill.goose_db_version, flightbill.river_migration
    TO flightbill_server, flightbill_reporter, flightbill_accountant;
GRANT EXECUTE ON FUNCTION flightbill.airport_form, flightbill.minor_units, flightbill.tax_of, flightbill.draft_sums TO flightbill_server, flightbill_reporter, flightbill_accountant;

-- flightbill_server: what serve, consolidate, overdue and enqueue do.
--
-- River's client, the claim and the ends of jobs.
GRANT SELECT, INSERT, UPDATE, DELETE ON flightbill.river_job, flightbill.river_leader, flightbill.river_queue TO flightbill_server;
GRANT USAGE ON SEQUENCE flightbill.river_job_id_seq TO flightbill_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON flightbill.queue_promises, flightbill.flight_source_outages TO flightbill_server;
-- Saves and runs: ledger rows, charges and drafts are added and never changed; of a draft
-- that cannot be issued, and of an invoice past due, it is noted. Numbers and totals
-- are written by issue_drafts alone.
GRANT INSERT (flight_id, customer_id, landed_on, facts, billed_at, declared) ON flightbill.billed_flights TO flightbill_server;
GRANT INSERT (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, late, detail,
        tax_category, tax_reason, unit_code, account)
    ON flightbill.charges TO flightbill_server;
GRANT INSERT (customer_id, kind, closes_on, currency, opened_at, outside_scope), UPDATE (status, parked_at, parked_reason, parked_by_run)
    ON flightbill.invoices TO flightbill_server;
GRANT UPDATE (held_through) ON flightbill.customers TO flightbill_server;
GRANT INSERT (timezone, close, billing_start, tax_by) ON flightbill.billing_settings TO flightbill_server; -- at the first start
GRANT INSERT (closes_on, run_date, due_at, trigger, started_at, finished_at), UPDATE (finished_at, invoices, charges, held, parked)
    ON flightbill.billing_runs TO flightbill_server;
GRANT UPDATE ON flightbill.billing_run_lock TO flightbill_server; -- what LOCK TABLE asks for
GRANT EXECUTE ON FUNCTION flightbill.claim_flights, flightbill.end_flight_jobs, flightbill.complete_flight_jobs,
        flightbill.promise_to_look, flightbill.withdraw_promise, flightbill.save_flights, flightbill.open_draft, flightbill.issue_drafts,
        flightbill.adjust_flight, flightbill.voided_flight_message,
        flightbill.tariff_unit_code, flightbill.flight_id_is_valid, flightbill.flight_job_unique_states, flightbill.enqueue_flights
    TO flightbill_server;
-- +goose StatementBegin
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN -- River rebuilds its indexes; before, their owner alone can
        EXECUTE 'GRANT MAINTAIN ON flightbill.river_job TO flightbill_server';
    END IF;
END
$$;
-- +goose StatementEnd

-- flightbill_accountant: payments, voids and corrections, the issuer, and the imports.
GRANT EXECUTE ON FUNCTION flightbill.mark_invoice_paid(text, date), flightbill.mark_invoice_paid(text, timestamptz),
        flightbill.mark_invoice_paid(text, timestamp), flightbill.mark_invoice_paid(text, text),
        flightbill.unmark_invoice_paid, flightbill.record_payment, flightbill.reverse_payment, flightbill.set_off, flightbill.write_off_rounding,
        flightbill.charge_interest, flightbill.void_invoice, flightbill.rebill_invoice, flightbill.adjust_flight
    TO flightbill_accountant;
GRANT INSERT (code, name, billing_frequency, week_ends_on), UPDATE (name, billing_frequency, week_ends_on, payment_terms_days, billing_hold,
        legal_name, street, city, postcode, subdivision, country, vat_id, legal_id, legal_id_scheme, electronic_address, electronic_address_scheme,
        buyer_reference, emails, language, late_interest_rate)
    ON flightbill.customers TO flightbill_accountant;
GRANT INSERT ON flightbill.issuers TO flightbill_accountant;
GRANT INSERT, UPDATE ON flightbill.currency_rates TO flightbill_accountant;
GRANT DELETE ON flightbill.flight_processing_queue TO flightbill_accountant; -- what its corrections have enqueued
GRANT INSERT, DELETE ON flightbill.customer_operators, flightbill.customer_aircraft TO flightbill_accountant;
GRANT INSERT, UPDATE, DELETE ON flightbill.aircraft, flightbill.aircraft_types, flightbill.airports TO flightbill_accountant;
GRANT INSERT, UPDATE ON flightbill.tariffs, flightbill.flights TO flightbill_accountant;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
REVOKE ALL ON ALL TABLES IN SCHEMA flightbill FROM flightbill_server, flightbill_reporter, flightbill_accountant;
REVOKE USAGE ON SEQUENCE flightbill.river_job_id_seq FROM flightbill_server;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA flightbill FROM flightbill_server, flightbill_reporter, flightbill_accountant;
REVOKE USAGE ON SCHEMA flightbill FROM flightbill_server, flightbill_reporter, flightbill_accountant;
