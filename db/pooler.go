package db

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pooler is what stands between flightbill and its database, such as PgBouncer.
type Pooler string

const (
	NoPooler          Pooler = "none"
	SessionPooler     Pooler = "session"     // a connection of flightbill's has a server connection to itself, as without a pooler
	TransactionPooler Pooler = "transaction" // each transaction has another one: whatever a session keeps is lost, or another's
)

// ReadCommitted is how transactions begin: what is read after a lock is what was
// committed before it, whatever a session that others share was set to.
var ReadCommitted = pgx.TxOptions{IsoLevel: pgx.ReadCommitted} //nolint:gochecknoglobals // a constant

// beginBatch is the same for a batch, which is a transaction by itself.
func beginBatch() *pgx.Batch {
	batch := &pgx.Batch{}
	batch.Queue(`SET transaction_isolation = 'read committed'`)
	return batch
}

// prepare has connections set what they depend on, or not need to.
func (p Pooler) prepare(config *pgx.ConnConfig, searchPath string) {
	switch p {
	case TransactionPooler:
		// Statements are not prepared under a name, which the next server connection would not
		// know. In a cache are only the types of their parameters and columns.
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	case SessionPooler:
		config.AfterConnect = setSession(searchPath)
	case NoPooler, "":
		set := setSession(searchPath)
		config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
			if err := noPooler(ctx, conn); err != nil {
				return err
			}
			return set(ctx, conn)
		}
	}
}

// noPooler refuses a connection that a pooler has taken: it gives a process id of its own
// for what is to be cancelled. Not to know of one is to set what other clients depend on.
func noPooler(ctx context.Context, conn *pgconn.PgConn) error {
	if conn.PID() == 0 { // none was given
		return nil
	}
	results, err := conn.Exec(ctx, `SELECT pg_catalog.pg_backend_pid()`).ReadAll()
	if err != nil {
		return fmt.Errorf("ask for the server process: %w", err)
	}
	if string(results[0].Rows[0][0]) != strconv.FormatUint(uint64(conn.PID()), 10) {
		return fmt.Errorf("%w: one stands before it, such as PgBouncer; set FLIGHTBILL_DATABASE_POOLER to its pool_mode, transaction or session, or give the server's own address",
			ErrPooler)
	}
	return nil
}

// checkRole sees that server connections which a pooler opens are as flightbill needs
// them, from the start: of what a client sets, the next one knows nothing.
func checkRole(ctx context.Context, pool *pgxpool.Pool, searchPath string) error {
	var missing *string
	err := pool.QueryRow(ctx, `
		SELECT string_agg(format('ALTER ROLE %I IN DATABASE %I SET %s = %s', session_user, current_database(), name, value), '; ' ORDER BY name)
		FROM (SELECT name, quote_literal(value) AS value, s.reset_val = value AS good FROM `+sessionSettings+` JOIN pg_catalog.pg_settings AS s USING (name)
			UNION ALL SELECT name, $1, reset_val = $1 FROM pg_catalog.pg_settings WHERE name = 'search_path') AS setting
		WHERE NOT good`, searchPath).Scan(&missing)
	switch {
	case err != nil:
		return fmt.Errorf("look at the role's settings: %w", err)
	case missing != nil:
		return fmt.Errorf("%w: in transaction mode the role has to bring what flightbill's connections depend on; have an administrator run: %s; "+
			"and then RECONNECT in PgBouncer's console", ErrPooler, *missing)
	}
	return nil
}
