package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

// Every relation, sequence and function of the schema, and who may do what with it. One that a
// migration adds is not in the list, and fails here until somebody has decided: its line
// may name no role, where its owner alone uses it. A right on some columns names them.
const rights = `
aircraft
    accountant: SELECT, INSERT, UPDATE, DELETE
    reporter server: SELECT
aircraft_types
    accountant: SELECT, INSERT, UPDATE, DELETE
    reporter server: SELECT
airport_codes
    accountant reporter server: SELECT
airports
    accountant: SELECT, INSERT, UPDATE, DELETE
    reporter server: SELECT
bank_entries
    accountant reporter server: SELECT
billed_flights
    accountant reporter: SELECT
    server: SELECT, INSERT (flight_id customer_id landed_on facts billed_at declared)
billing_calendar
    accountant reporter server: SELECT
billing_days
    accountant reporter server: SELECT
billing_run_lock
    server: UPDATE
billing_runs
    accountant reporter: SELECT
    server: SELECT, INSERT (closes_on run_date due_at trigger started_at finished_at), UPDATE (finished_at invoices charges held parked)
billing_settings
    accountant reporter: SELECT
    server: SELECT, INSERT (timezone close billing_start tax_by)
changed_flights
    accountant reporter server: SELECT
changed_tariffs
charges
    accountant reporter: SELECT
    server: SELECT, INSERT (invoice_id flight_id tariff_id code description quantity unit_rate amount tax_rate tax_amount flown_on late tax_category tax_reason unit_code account detail)
currency_rates
    accountant: SELECT, INSERT, UPDATE
    reporter server: SELECT
customer_aircraft
    accountant: SELECT, INSERT, DELETE
    reporter server: SELECT
customer_operators
    accountant: SELECT, INSERT, DELETE
    reporter server: SELECT
customers
    accountant: SELECT, INSERT (code name billing_frequency week_ends_on), UPDATE (name billing_frequency week_ends_on payment_terms_days billing_hold legal_name street city postcode subdivision country vat_id legal_id legal_id_scheme electronic_address electronic_address_scheme buyer_reference emails language late_interest_rate)
    reporter: SELECT
    server: SELECT, UPDATE (held_through)
deliveries
    accountant reporter: SELECT
    server: SELECT, UPDATE (state attempts last_error next_at delivered_at)
flight_processing_queue
    accountant: SELECT, DELETE
    enqueuer queue_admin: SELECT, INSERT, DELETE
    queue_reader: SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER
    reporter server: SELECT
flight_source_outages
    server: SELECT, INSERT, UPDATE, DELETE
flights
    accountant: SELECT, INSERT, UPDATE
    reporter server: SELECT
gathered_flights
goose_db_version
    accountant reporter server: SELECT
invoice_balances
    accountant reporter server: SELECT
invoice_documents
    accountant server: SELECT, INSERT (invoice_id format version made_at bytes sha256)
    reporter: SELECT
invoice_events
    accountant reporter server: SELECT
invoice_taxes
    accountant reporter server: SELECT
invoices
    accountant reporter: SELECT
    server: SELECT, INSERT (customer_id kind closes_on currency outside_scope opened_at), UPDATE (status parked_at parked_reason parked_by_run)
issuers
    accountant: SELECT, INSERT
    reporter server: SELECT
journal
    accountant reporter server: SELECT
ledger_accounts
    accountant: SELECT, INSERT, UPDATE, DELETE
    reporter server: SELECT
overlapping_flights
    accountant reporter server: SELECT
payments
    accountant reporter server: SELECT
price_book
    accountant reporter server: SELECT
queue_content
    queue_reader: SELECT
queue_promises
    server: SELECT, INSERT, UPDATE, DELETE
river_job
    server: SELECT, INSERT, UPDATE, DELETE
river_leader
    server: SELECT, INSERT, UPDATE, DELETE
river_migration
    accountant reporter server: SELECT
river_notification
river_queue
    server: SELECT, INSERT, UPDATE, DELETE
tariffs
    accountant: SELECT, INSERT, UPDATE
    reporter server: SELECT
unmatched_codes
    accountant reporter server: SELECT
voided_flights
    accountant reporter server: SELECT
webhook_secrets
    accountant: SELECT (webhook_id until), INSERT (webhook_id secret), UPDATE (until), DELETE
    reporter: SELECT (webhook_id until)
    server: SELECT
webhooks
    accountant: SELECT (id target events created_at stopped_at stopped_reason removed_at active), INSERT (url events), UPDATE (removed_at)
    reporter: SELECT (id target events created_at stopped_at stopped_reason removed_at active)
    server: SELECT, UPDATE (stopped_at stopped_reason)
sequence aircraft_id_seq
sequence bank_entries_id_seq
sequence changed_tariffs_id_seq
sequence charges_id_seq
sequence customer_aircraft_id_seq
sequence customer_operators_id_seq
sequence customers_id_seq
sequence goose_db_version_id_seq
sequence invoice_events_id_seq
sequence invoices_id_seq
sequence issuers_id_seq
sequence ledger_accounts_id_seq
sequence payments_id_seq
sequence river_job_id_seq
    server: USAGE
sequence river_notification_id_seq
sequence tariffs_id_seq
sequence webhooks_id_seq
add_bank_entries(): accountant
adjust_flight(): accountant server
airport_form(): accountant reporter server
airports_have_codes(): of a trigger
announce_flights(): 
bank_entries_stay(): of a trigger
bank_entry_left(): 
bank_entry_reference(): 
bill_to(): 
billing_runs_only_forward(): of a trigger
billing_runs_tell(): of a trigger
book_bank_entry(): accountant
charge_interest(): accountant
charges_join_drafts_only(): of a trigger
charges_stay_as_issued(): of a trigger
check_payment(): 
claim_flights(): server
clean_text(): everybody
code_form(): everybody
complete_flight_jobs(): server
currency_rate(): 
customers_keep_numbers(): of a trigger
deliveries_stay(): of a trigger
documents_stay_as_given(): of a trigger
draft_sums(): accountant reporter server
end_flight_jobs(): server
enqueue_as_jobs(): 
enqueue_deliveries(): 
enqueue_flights(): enqueuer queue_admin server
fact_form(): everybody
flight_id_is_valid(): server
flight_job_key(): 
flight_job_unique_states(): server
flight_jobs_complete_when_billed(): of a trigger
flight_processing_queue_delete(): of a trigger
flight_processing_queue_finish(): of a trigger
flight_processing_queue_flush(): 
flight_processing_queue_insert(): of a trigger
flight_processing_queue_update(): of a trigger
gathered_flights_commit(): of a trigger
hold_flight_jobs(): 
ignore_bank_entry(): accountant
invoice_taxes_make_totals(): of a trigger
invoice_to_settle(): 
invoices_record_event(): of a trigger
invoices_stay_as_issued(): of a trigger
invoices_tell(): of a trigger
is_queue_admin(): everybody
issue_drafts(): server
issuers_stay(): of a trigger
mark_invoice_paid(): accountant
match_bank_entries(): accountant
minor_units(): accountant reporter server
open_amount(): 
open_draft(): server
payments_stay(): of a trigger
price_book_changed(): of a trigger
promise_to_look(): server
queued_flight(): everybody
rebill_invoice(): accountant
record_payment(): accountant
refuse_flight_id(): 
refuse_removal(): of a trigger
refuse_replica(): everybody
refuse_voided_flights(): 
remove_documents(): 
retry_deliveries(): accountant
reverse_payment(): accountant
revive_flight_jobs(): 
river_job_state_in_bitmask(): everybody
save_flights(): server
set_off(): accountant
set_off_pair(): 
settle_invoice(): 
tariff_unit_code(): server
tariffs_changed(): of a trigger
tariffs_do_not_overlap(): of a trigger
tariffs_overlapping(): 
tax_of(): accountant reporter server
unmark_invoice_paid(): accountant
void_invoice(): accountant
voided_flight_message(): server
week_minutes(): everybody
when_facts(): everybody
when_is_readable(): everybody
withdraw_promise(): server
write_off_rounding(): accountant
`

const rightsOf = `
WITH roles (role) AS (VALUES ('enqueuer'), ('queue_admin'), ('queue_reader'), ('server'), ('reporter'), ('accountant')),
relations AS (
    SELECT c.oid, c.relname AS name, c.relkind FROM pg_class c WHERE c.relnamespace = 'flightbill'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
), granted AS (
    SELECT r.relkind = 'S' AS is_sequence, r.name, o.role, string_agg(p.granted, ', ' ORDER BY p.nth) AS rights
    FROM relations r CROSS JOIN roles o CROSS JOIN LATERAL (
        SELECT CASE
            WHEN r.relkind = 'S' THEN CASE WHEN w.wanted IN ('USAGE', 'SELECT', 'UPDATE') AND has_sequence_privilege('flightbill_' || o.role, r.oid, w.wanted) THEN w.wanted END
            WHEN w.wanted = 'USAGE' THEN NULL
            WHEN has_table_privilege('flightbill_' || o.role, r.oid, w.wanted) THEN w.wanted
            WHEN w.wanted NOT IN ('DELETE', 'TRUNCATE', 'TRIGGER') THEN w.wanted || ' (' || (
                SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege('flightbill_' || o.role, r.oid, a.attnum, w.wanted)) || ')'
            END AS granted, w.nth
        FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,USAGE}'::text[]) WITH ORDINALITY AS w (wanted, nth)) AS p
    GROUP BY 1, 2, 3
), lines AS (
    SELECT CASE WHEN is_sequence THEN 'sequence ' ELSE '' END || name AS name, coalesce(string_agg('    ' || roles || ': ' || rights, E'\n' ORDER BY roles), '') AS rights
    FROM (SELECT is_sequence, name, rights, string_agg(role, ' ' ORDER BY role) AS roles FROM granted GROUP BY 1, 2, 3) AS g GROUP BY is_sequence, g.name
    UNION ALL
    SELECT proname || '(): ' || string_agg(DISTINCT whose, ' / '), ''
    FROM (
        SELECT p.proname, CASE WHEN p.prorettype = 'trigger'::regtype THEN 'of a trigger' ELSE '' END || CASE WHEN has_function_privilege('public', p.oid, 'EXECUTE') THEN 'everybody'
            ELSE coalesce((SELECT string_agg(o.role, ' ' ORDER BY o.role) FROM roles o WHERE has_function_privilege('flightbill_' || o.role, p.oid, 'EXECUTE')), '') END AS whose
        FROM pg_proc p
        WHERE p.pronamespace = 'flightbill'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    ) AS f GROUP BY proname
)
SELECT string_agg(concat_ws(E'\n', name, nullif(rights, '')), E'\n' ORDER BY name LIKE '%(%', name LIKE 'sequence%', name COLLATE "C") FROM lines`

func TestRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, rights, "\n"+get[string](t, b, rightsOf)+"\n")
	if get[bool](t, b, `SELECT current_setting('server_version_num')::int >= 170000`) {
		require.Equal(t, "server river_job", get[string](t, b, `
			SELECT string_agg(role || ' ' || relname, ', ') FROM pg_class, unnest('{enqueuer,queue_admin,server,reporter,accountant}'::text[]) AS role
			WHERE relnamespace = 'flightbill'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege('flightbill_' || role, pg_class.oid, 'MAINTAIN')`))
	}
	require.Empty(t, get[string](t, b, `
		SELECT coalesce(string_agg(rolname, ' '), '') FROM pg_roles WHERE rolname = ANY ($1)
			AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication OR has_schema_privilege(oid, 'flightbill', 'CREATE'))`, db.RoleNames()))
}
