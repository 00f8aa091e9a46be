// Package db is flightbill's Postgres side.
//
//   - Open connects and checks that the server is one flightbill can use.
//   - Migrate and its like bring the schema up and down.
//   - dbsqlc holds the queries, generated from queries/*.sql.
//   - PriceBook, SaveFlight, AdjustFlight and the run functions put queries
//     together into what the workers do.
//   - VoidInvoice, Enqueue, ReadInvoice and the like are what commands do and show.
//   - Flights is the built-in flight source.
//
// Its folders are packages of their own: imports loads CSV files, embedded is the
// Postgres that comes with flightbill, dbtest gives tests their databases.
package db
