// Package db is flightbill's Postgres side.
//
//   - Open connects, sets what a session depends on, and checks that the server is one
//     flightbill can use.
//   - MigrateUp and MigrateDown bring the schema up and down.
//   - dbsqlc holds the queries, generated from queries/*.sql.
//   - FlightQueue is what the workers do with the queue: claim, save, end.
//   - PriceBook has what flights are priced from, at one version: calendar, tariffs, who
//     pays, and what the registers declare of aircraft, types and airports.
//   - SaveFlights, AdjustFlight and the run functions put queries together into what the
//     workers do.
//   - VoidInvoice, Enqueue, ReadInvoice and the like are what commands do and show.
//   - BankEntries and Journal are what the bank said, and what a ledger is told.
//   - Flights is the built-in flight source.
//
// Its folders are packages of their own: imports loads CSV files, exports writes
// them, embedded is the Postgres that comes with flightbill, dbtest gives tests their
// databases.
//
// # Locks
//
// Everybody takes them in one order, so that no two transactions wait for each other:
//
//	goose_db_version   by a migration, SHARE UPDATE EXCLUSIVE, on a connection of its own
//	billing_run_lock   a save in ROW SHARE mode, a run in EXCLUSIVE; in a statement of its
//	                   own, since each statement reads what was committed before it began
//	tariffs, aircraft, aircraft_types, airports
//	                   one, by its import, SHARE ROW EXCLUSIVE: only those who write there wait
//	customers          by id
//	billed_flights     by flight_id; then voided_flights, their rows of these
//	bank_entries       by an import of the bank's file, SHARE ROW EXCLUSIVE: one at a time; by who
//	                   books or ignores an entry, its row
//	invoices           by id. One that is voided, or billed again, is locked before its flights: who has
//	                   flights locked waits for drafts, and for no issued invoice
//	payments           an entry of a bank's file waits for who books the same one
//	deliveries         by id
//	river_job          by id
//	queue_promises     after a claim, the process's own, and those of killed ones
//	price_book         by whoever changes customers, tariffs, a register or the settings, to
//	                   the end of the transaction, so that tariffs and airports are looked at
//	                   for overlaps one after another; a save only reads it
//
// In airport_codes and changed_tariffs only triggers write.
//
// With a row of river_queue (jobs/forged.go, and River) no other lock is held.
//
// No advisory lock is taken: whoever may connect could hold it. To lock one of these, or
// its rows, a role needs a right to write it (for LOCK TABLE, UPDATE will do).
//
// A save waits a second for a lock other than the first. Other ends and the claim, which
// come behind it in its transaction, wait for nobody: they skip what is locked.
//
// # SQL functions
//
// Each stands once, in functions/NAME.sql, from where internal/functions writes it into
// the migrations. Three settings recur in them:
//
//   - search_path = pg_catalog, pg_temp: an operator or a function is Postgres' own, and
//     not what the caller has under the same name. All else is named with its schema.
//   - enable_seqscan = off: Postgres keeps the plan of a statement in a function, and of
//     a foreign key's check, for as long as a connection lives. One made while a table was
//     small reads all of it once that is large. Statistics come too late to mend that: a
//     minute after the rows, and never within the transaction that brings a million.
//   - jit = off: before Postgres 18, a plan that the setting above advises against costs
//     1e10, which has JIT compile it at each call: 54 ms a save, on servers that have it.
package db
