// Package migrations holds flightbill's database schema as plain SQL files
// for goose, embedded in the binary.
//
//   - The files run with the stock goose CLI as well as with "flightbill
//     migrate up".
//   - River's own tables are not among them: River's migrator makes them.
//   - All that they make is in schema flightbill, and named with it. A step sets its
//     search_path to Postgres' own names: what a view, an index or a constraint calls
//     is then nothing that another role has put under the same name.
//   - A function's text comes from db/functions; internal/functions writes it here.
package migrations

import "embed"

// FS holds the migration files, in its root.
//
//go:embed *.sql
var FS embed.FS
