// Package migrations holds flightbill's database schema as plain SQL files
// for goose, embedded in the binary.
//
//   - The files run with the stock goose CLI as well as with "flightbill
//     migrate up".
//   - River's own tables are not among them: River's migrator makes them.
package migrations

import "embed"

// FS holds the migration files, in its root.
//
//go:embed *.sql
var FS embed.FS
