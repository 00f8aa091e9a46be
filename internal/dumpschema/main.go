// Command dumpschema writes db/schema.sql: it starts a Postgres of the version
// that the file is made with, migrates it and dumps it. Run it from the
// module's root after every change of a migration, and sqlc generate after it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
	"github.com/flightbill/flightbill/internal/dumpschema/schema"
)

const file = "db/schema.sql"

func main() {
	embedded.Main()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "dumpschema:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("run this from the module's root: %w", err)
	}
	server, err := embedded.Start(ctx, embedded.Config{Ephemeral: true, Version: embedded.V15})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	pool, err := db.Open(ctx, server.URL(), db.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := db.MigrateUp(ctx, pool); err != nil {
		return err
	}
	dump, err := schema.Dump(ctx, server.URL())
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(dump), 0o644) //nolint:gosec // a source file, for all to read
}
