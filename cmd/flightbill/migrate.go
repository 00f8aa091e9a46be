package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
)

func (a *app) newMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database's tables up or down", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say which: flightbill migrate up, down, status or grant")}
		},
	}
	var asJSON bool
	status := &cobra.Command{
		Use: "status", Short: "List the migrations and whether the database has them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pool, closeDB, err := a.openDatabase(cmd.Context())
			if err != nil {
				return err
			}
			defer closeDB()
			list, err := db.MigrationStatus(cmd.Context(), pool)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, list)
			}
			rows := make([][]string, len(list))
			for i, m := range list {
				state := "pending"
				if m.Applied {
					state = "applied"
				}
				rows[i] = []string{m.Line, strconv.FormatInt(m.Version, 10), state, m.Name}
			}
			return table(a.stdout, []string{"LINE", ">VERSION", "STATE", "NAME"}, rows)
		},
	}
	status.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	var loseInvoices bool
	down := &cobra.Command{
		Use: "down", Short: "Take back the newest migration, one step; refuses where invoices have been issued", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pool, closeDB, err := a.openToMigrate(cmd.Context())
			if err != nil {
				return err
			}
			defer closeDB()
			undone, err := db.MigrateDown(cmd.Context(), pool, loseInvoices)
			switch {
			case err != nil:
				return err
			case undone == nil:
				fmt.Fprintln(a.stdout, "nothing to do: no migration is left")
			default:
				a.sayf("down  %s %d %s", undone.Line, undone.Version, undone.Name)
			}
			return nil
		},
	}
	down.Flags().BoolVar(&loseInvoices, "lose-invoices", false, "take it back although invoices have been issued, and lose them")
	cmd.AddCommand(status, down, a.newGrantCommand(), &cobra.Command{
		Use: "up", Short: "Run all missing migrations, River's own first; safe from many processes at once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			pool, closeDB, err := a.openToMigrate(cmd.Context())
			if err != nil {
				return err
			}
			defer closeDB()
			done, err := db.MigrateUp(cmd.Context(), pool)
			for _, m := range done {
				a.sayf("up    %s %d %s", m.Line, m.Version, m.Name)
			}
			if err == nil && len(done) == 0 {
				fmt.Fprintln(a.stdout, "nothing to do: the database is up to date")
			}
			return err
		},
	})
	return cmd
}

// openToMigrate opens a database that one session can hold the lock of all migrations in.
func (a *app) openToMigrate(ctx context.Context) (*pgxpool.Pool, func(), error) {
	if a.pooler() == db.TransactionPooler {
		return nil, nil, fmt.Errorf("%w: not through a pooler in transaction mode, where nobody else could be kept out meanwhile; "+
			"give DATABASE_URL the server's own address, and FLIGHTBILL_DATABASE_POOLER=none", db.ErrCannotMigrate)
	}
	return a.openDatabase(ctx)
}
