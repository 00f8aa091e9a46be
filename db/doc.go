// Package db is flightbill's Postgres side.
//
//   - Open connects and checks that the server is one flightbill can use.
//   - Migrate and its like bring the schema up and down.
//   - dbsqlc holds the queries, generated from queries/*.sql.
//   - PriceBook, SaveFlight, AdjustFlight and the run functions put queries
//     together into what the workers do.
//   - Flights is the built-in flight source, Import* load CSV files.
package db
