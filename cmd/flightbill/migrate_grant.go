package main

import (
	"errors"
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
	var asJSON bool
	cmd := &cobra.Command{
		Use: "grant ROLE [LOGIN…]", Short: "Let logins do what a role may do, or list who has it", Long: help.String(), Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := db.ParseRole(args[0])
			if err != nil {
				return usageError{fmt.Errorf("ROLE: %w", err)}
			}
			logins := args[1:]
			if asJSON && len(logins) > 0 {
				return usageError{errors.New("--json is for the list of those who have a role: name no login with it")}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				if len(logins) == 0 {
					return a.sayMembers(cmd, pool, role, asJSON)
				}
				warnings, err := db.GrantRole(cmd.Context(), pool, role, logins)
				if err != nil {
					return err
				}
				for _, warning := range warnings {
					a.complain("warning: " + warning)
				}
				a.sayf("%s may now %s", strings.Join(logins, ", "), role.May)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return cmd
}

// memberView is a login that has a role.
type memberView struct {
	Login string `json:"login"`
}

func (a *app) sayMembers(cmd *cobra.Command, pool *pgxpool.Pool, role db.Role, asJSON bool) error {
	members, err := db.RoleMembers(cmd.Context(), pool, role)
	if err != nil {
		return err
	}
	if asJSON {
		views := make([]memberView, len(members))
		for i, m := range members {
			views[i] = memberView{m}
		}
		return printJSON(a.stdout, views)
	}
	if len(members) == 0 {
		a.sayf("nobody has %s", role.InDatabase())
		return nil
	}
	rows := make([][]string, len(members))
	for i, m := range members {
		rows[i] = []string{m}
	}
	return table(a.stdout, []string{"LOGIN"}, rows)
}
