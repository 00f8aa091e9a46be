package main

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
)

func (a *app) newGrantCommand() *cobra.Command {
	var help strings.Builder
	help.WriteString("Let logins do what a role may do; without a login, list those who have it. The roles:\n")
	for _, r := range db.Roles() {
		fmt.Fprintf(&help, "\n  %-12s %s", r.Name, r.May)
	}
	return &cobra.Command{
		Use: "grant ROLE [LOGIN…]", Short: "Let logins do what a role may do, or list who has it", Long: help.String(), Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := db.ParseRole(args[0])
			if err != nil {
				return usageError{fmt.Errorf("ROLE: %w", err)}
			}
			logins := args[1:]
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				if len(logins) == 0 {
					return a.sayMembers(cmd, pool, role)
				}
				warnings, err := db.GrantRole(cmd.Context(), pool, role, logins)
				if err != nil {
					return err
				}
				for _, warning := range warnings {
					fmt.Fprintln(a.stderr, "flightbill: warning:", warning)
				}
				fmt.Fprintf(a.stdout, "%s may now %s\n", strings.Join(logins, ", "), role.May)
				return nil
			})
		},
	}
}

func (a *app) sayMembers(cmd *cobra.Command, pool *pgxpool.Pool, role db.Role) error {
	members, err := db.RoleMembers(cmd.Context(), pool, role)
	if err != nil {
		return err
	}
	if len(members) == 0 {
		fmt.Fprintf(a.stdout, "nobody has %s\n", role.InDatabase())
		return nil
	}
	rows := make([][]string, len(members))
	for i, m := range members {
		rows[i] = []string{m}
	}
	return table(a.stdout, []string{"LOGIN"}, rows)
}
