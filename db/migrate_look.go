package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// queueMigration makes the queue view.
const queueMigration = 7

// surroundings are what a migration finds, looked at before it changes anything.
type surroundings struct {
	applied int64 // the newest of flightbill's migrations that the database has; 0: none
	newest  int64 // the newest that this binary has
	river   int   // River's

	user         string // quoted as SQL wants it
	readOnly     bool   // a standby, or made so
	schema       bool   // flightbill's is there
	mayMake      bool   // something in the database: the schema, an extension
	mayUse       bool   // the schema
	owns         bool   // the schema, and what is in it
	strangers    string // what is in the schema where flightbill has made nothing
	noExtension  bool   // btree_gist is neither in the database nor at hand
	newExtension bool   // it is not in the database
	noReader     bool   // the queue view cannot be handed over to flightbill_queue_reader
	missingRoles string // what makes those of flightbill's that are missing, where this role may not
	owner        string // of the schema, as SQL wants it
}

// lookAround reads the catalogs and the two tables of versions. It changes nothing.
func lookAround(ctx context.Context, pool *pgxpool.Pool) (surroundings, error) {
	s := surroundings{newest: newestMigration()}
	var goosed, rivered bool
	err := pool.QueryRow(ctx, `
		SELECT quote_ident(current_user), pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
			n.oid IS NOT NULL, has_database_privilege(current_database(), 'CREATE'), coalesce(has_schema_privilege(n.oid, 'USAGE'), true),
			coalesce((SELECT pg_has_role(s.nspowner, 'USAGE') FROM pg_namespace s WHERE s.oid = n.oid), true)
				AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND NOT pg_has_role(c.relowner, 'USAGE') AND c.relowner::regrole::text <> 'flightbill_queue_reader'),
			EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'goose_db_version'),
			EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'river_migration'),
			coalesce((SELECT string_agg(o.name, ', ' ORDER BY o.name) FROM (
				SELECT c.oid, c.relname AS name FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
				UNION ALL SELECT p.oid, p.proname || '()' FROM pg_proc p WHERE p.pronamespace = n.oid
				UNION ALL SELECT t.oid, t.typname FROM pg_type t WHERE t.typnamespace = n.oid AND t.typtype IN ('e', 'd')
			) AS o WHERE o.name NOT LIKE 'river\_%' AND o.name <> 'goose_db_version'
				AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')), ''), -- but for an extension's
			NOT EXISTS (SELECT FROM pg_available_extensions e WHERE e.name = 'btree_gist'),
			NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'btree_gist'),
			coalesce((SELECT string_agg('CREATE ROLE ' || wanted || ' NOLOGIN', '; ') FROM unnest($1::text[]) AS wanted
				WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = wanted)
				AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND (r.rolcreaterole OR r.rolsuper))), ''),
			-- From Postgres 16 on, to make roles is not enough: it takes to have made this one.
			NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND (r.rolsuper OR r.rolcreaterole AND current_setting('server_version_num')::int < 160000))
				AND EXISTS (SELECT FROM pg_roles q WHERE q.rolname = 'flightbill_queue_reader' AND NOT pg_has_role(q.oid, 'MEMBER WITH ADMIN OPTION')
					AND NOT pg_has_role(q.oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)),
			coalesce((SELECT s.nspowner::regrole::text FROM pg_namespace s WHERE s.oid = n.oid), '')
		FROM (SELECT to_regnamespace('flightbill') AS oid) AS n`, RoleNames()).Scan(
		&s.user, &s.readOnly, &s.schema, &s.mayMake, &s.mayUse, &s.owns, &goosed, &rivered, &s.strangers, &s.noExtension, &s.newExtension, &s.missingRoles, &s.noReader, &s.owner)
	if err != nil {
		return s, fmt.Errorf("look at what the database has: %w", err)
	}
	if !s.mayUse && goosed {
		return s, fmt.Errorf("%w: role %s may not use schema flightbill", ErrNoRight, s.user)
	}
	if !s.mayUse {
		return s, fmt.Errorf("role %s may not use schema flightbill; work as its owner, or have that one run: GRANT USAGE ON SCHEMA flightbill TO %[1]s", s.user)
	}
	if goosed {
		if err := pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM flightbill.goose_db_version WHERE is_applied`).Scan(&s.applied); err != nil {
			return s, fmt.Errorf("role %s reads the migration version: %w", s.user, err)
		}
	}
	if rivered {
		// As text: the first of River's migrations had no column line.
		if err := pool.QueryRow(ctx, `
			SELECT coalesce(max(version), 0) FROM flightbill.river_migration m WHERE coalesce(to_jsonb(m) ->> 'line', 'main') = 'main'`).Scan(&s.river); err != nil {
			return s, fmt.Errorf("read River's migration version: %w", err)
		}
	}
	return s, nil
}

// asOwner says who is to migrate, where this role may not.
func (s surroundings) asOwner() string {
	if s.owns {
		return ""
	}
	return " as " + s.owner + ", who owns schema flightbill"
}

// notNewer refuses what a newer flightbill or a newer River has made.
func (s surroundings) notNewer() error {
	switch {
	case s.applied > s.newest:
		return fmt.Errorf("%w: a newer flightbill has migrated it to %d, this one knows migrations up to %d; run the newer flightbill",
			ErrSchemaTooNew, s.applied, s.newest)
	case s.river > RiverVersion:
		return fmt.Errorf("%w: a newer River has migrated its tables to %d, this flightbill works with %d; run a flightbill with the newer River",
			ErrSchemaTooNew, s.river, RiverVersion)
	}
	return nil
}

// whole reports whether the database has all migrations of this binary.
func (s surroundings) whole() bool { return s.applied == s.newest && s.river == RiverVersion }

// canMigrate says what stands in the way of migrating up.
func (s surroundings) canMigrate() error {
	if err := s.notNewer(); err != nil {
		return err
	}
	if s.whole() {
		return nil
	}
	switch {
	case s.readOnly:
		return fmt.Errorf("%w: the database is read-only, such as a standby; give the address of the primary", ErrCannotMigrate)
	case !s.schema && !s.mayMake:
		return fmt.Errorf("%w: role %s may not make schema flightbill; have its administrator run: CREATE SCHEMA flightbill AUTHORIZATION %[2]s",
			ErrCannotMigrate, s.user)
	case !s.owns:
		return fmt.Errorf("%w: schema flightbill, or a table in it, belongs to another role; migrate as that one, or have it hand them over: ALTER SCHEMA flightbill OWNER TO %s",
			ErrCannotMigrate, s.user)
	case s.applied == 0 && s.strangers != "":
		return fmt.Errorf("%w: schema flightbill holds what no flightbill has made: %s; move it to another schema, or give flightbill a database of its own",
			ErrCannotMigrate, s.strangers)
	case s.applied == 0 && s.newExtension && s.noExtension:
		return fmt.Errorf("%w: the server lacks Postgres' extension btree_gist; install the package that brings it, such as postgresql-contrib", ErrCannotMigrate)
	case s.applied == 0 && s.newExtension && !s.mayMake:
		return fmt.Errorf("%w: role %s may not make the extension btree_gist; have an administrator run: CREATE EXTENSION btree_gist", ErrCannotMigrate, s.user)
	case s.missingRoles != "":
		return fmt.Errorf("%w: roles are missing and %s may not make them; have an administrator run: %s; GRANT flightbill_queue_reader TO %[2]s", ErrCannotMigrate, s.user, s.missingRoles)
	case s.noReader && s.applied < queueMigration:
		return fmt.Errorf("%w: %s is no member of flightbill_queue_reader, which the queue view is handed over to; have an administrator run: GRANT flightbill_queue_reader TO %[2]s",
			ErrCannotMigrate, s.user)
	}
	return nil
}

// canTakeBack says what stands in the way of migrating down.
func (s surroundings) canTakeBack(ctx context.Context, pool *pgxpool.Pool, loseInvoices bool) error {
	if err := s.notNewer(); err != nil {
		return err
	}
	if s.applied == 0 || loseInvoices {
		return nil
	}
	var issued int64
	var there bool
	err := pool.QueryRow(ctx, `SELECT to_regclass('flightbill.invoices') IS NOT NULL`).Scan(&there)
	if err == nil && there {
		err = pool.QueryRow(ctx, `SELECT count(*) FROM flightbill.invoices WHERE status <> 'DRAFT'`).Scan(&issued)
	}
	switch {
	case err != nil:
		return fmt.Errorf("look for issued invoices: %w", err)
	case issued > 0:
		return fmt.Errorf("%w: %d of them, which are lost for good on the way down; keep a backup, and say --lose-invoices if that is what you want", ErrInvoicesIssued, issued)
	}
	return nil
}
