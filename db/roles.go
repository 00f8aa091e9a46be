package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Role is a group role of the database that flightbill's migrations give rights to.
type Role struct {
	Name string // without flightbill_
	May  string // what its members may do
}

// InDatabase is the role's name in the database.
func (r Role) InDatabase() string { return "flightbill_" + r.Name }

// Roles are those that logins are made members of.
func Roles() []Role {
	return []Role{
		{"server", "serve, consolidate, overdue and enqueue; change nothing that was issued, and no prices"},
		{"enqueuer", "enqueue flights, look at the queue and take back what the same login has enqueued"},
		{"queue_admin", "enqueue flights, look at the whole queue and take back all"},
		{"reporter", "read all but River's tables, and change nothing"},
		{"accountant", "read all but River's tables; mark invoices paid and unpaid, void and correct; import customers, tariffs and flights; manage webhooks and deliveries"},
	}
}

// RoleNames are all roles that the migrations make.
func RoleNames() []string {
	names := []string{"flightbill_queue_reader"} // has no members
	for _, r := range Roles() {
		names = append(names, r.InDatabase())
	}
	return names
}

// ParseRole finds a role by its name.
func ParseRole(name string) (Role, error) {
	for _, r := range Roles() {
		if name == r.Name || name == r.InDatabase() {
			return r, nil
		}
	}
	names := make([]string, len(Roles()))
	for i, r := range Roles() {
		names[i] = r.Name
	}
	return Role{}, fmt.Errorf("%q is not one of %s", name, strings.Join(names, ", "))
}

// GrantRole makes logins members of a role, all or none, and returns what is to be
// thought of.
func GrantRole(ctx context.Context, pool *pgxpool.Pool, role Role, logins []string) (warnings []string, err error) {
	err = pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		for _, login := range logins {
			found, err := grantRole(ctx, tx, role, login)
			if err != nil {
				return err
			}
			warnings = append(warnings, found...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("grant %s: %w", role.InDatabase(), err)
	}
	return warnings, nil
}

func grantRole(ctx context.Context, tx pgx.Tx, role Role, login string) (warnings []string, err error) {
	quoted := pgx.Identifier{login}.Sanitize()
	if slices.Contains(RoleNames(), login) {
		return nil, fmt.Errorf("%q is a role of flightbill's, and has its own rights; name a login", login)
	}
	var super, owns, mayConnect bool
	var database string
	err = tx.QueryRow(ctx, `
		SELECT r.rolsuper, pg_has_role(r.oid, n.nspowner, 'MEMBER'), NOT r.rolcanlogin OR has_database_privilege(r.oid, current_database(), 'CONNECT'),
			quote_ident(current_database())
		FROM pg_roles r, pg_namespace n WHERE r.rolname = $1 AND n.nspname = 'flightbill'`, login).Scan(&super, &owns, &mayConnect, &database)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, fmt.Errorf("role %q does not exist; have an administrator run: CREATE ROLE %s LOGIN PASSWORD '…'", login, quoted)
	case err != nil:
		return nil, fmt.Errorf("look at role %q: %w", login, err)
	}
	grant := "GRANT " + role.InDatabase() + " TO " + quoted
	if _, err := tx.Exec(ctx, grant); err != nil {
		if NoRight(err) {
			return nil, fmt.Errorf("this login may not; have an administrator run: %s (%s)", grant, err.Error())
		}
		return nil, fmt.Errorf("to %q: %w", login, err)
	}
	var inherits bool
	if err := tx.QueryRow(ctx, `SELECT pg_has_role($1::name, $2::name, 'USAGE')`, login, role.InDatabase()).Scan(&inherits); err != nil {
		return nil, fmt.Errorf("look at what %q may do now: %w", login, err)
	}
	if !inherits {
		return nil, fmt.Errorf("role %q does not inherit the rights of its groups; have an administrator run: ALTER ROLE %s INHERIT; and this again", login, quoted)
	}
	switch {
	case super:
		warnings = append(warnings, fmt.Sprintf("%q is a superuser: it may do everything anyway, and undo what was issued; give applications another login", login))
	case owns:
		warnings = append(warnings, fmt.Sprintf("%q owns schema flightbill, or may act as its owner: it may do everything there anyway, and undo what was issued; give applications another login", login))
	}
	if !mayConnect {
		warnings = append(warnings, fmt.Sprintf("%q may not connect to this database; have its owner run: GRANT CONNECT ON DATABASE %s TO %s", login, database, quoted))
	}
	return warnings, nil
}

// RoleMembers lists the logins that have a role, however they came by it, but for
// superusers.
func RoleMembers(ctx context.Context, pool *pgxpool.Pool, role Role) ([]string, error) {
	rows, _ := pool.Query(ctx, `
		SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND pg_has_role(oid, $1::name, 'USAGE') ORDER BY rolname`, role.InDatabase())
	members, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list who has %s: %w", role.InDatabase(), err)
	}
	return members, nil
}

// Rights are what serve looks at of its login.
type Rights struct {
	User    string
	Serve   bool // work the queue and the schedules
	Owner   bool // undo what was issued: of the tables' owner, and of a superuser
	Reindex bool // rebuild the indexes of River's jobs
}

// ReadRights returns the rights of a pool's login.
func ReadRights(ctx context.Context, pool *pgxpool.Pool) (Rights, error) {
	var r Rights
	err := pool.QueryRow(ctx, `
		SELECT current_user, has_table_privilege(c.oid, 'DELETE'), pg_has_role(c.relowner, 'MEMBER'),
			pg_has_role(c.relowner, 'USAGE') OR CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(c.oid, 'MAINTAIN') ELSE false END
		FROM pg_class c WHERE c.oid = 'flightbill.river_job'::regclass`).Scan(&r.User, &r.Serve, &r.Owner, &r.Reindex)
	if err != nil {
		return r, fmt.Errorf("look at what this login may do: %w", err)
	}
	return r, nil
}
