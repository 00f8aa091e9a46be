package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maintainEvery is how often the end of somebody else's maintenance is looked for.
const maintainEvery = time.Second

// Maintain rebuilds indexes of River's jobs, beside whoever works with them, and removes
// what a rebuilding that was cut short has left: while that is there River rebuilds
// nothing. It takes the owner of the tables. What it does is told, a line each.
func Maintain(ctx context.Context, pool *pgxpool.Pool, indexes []string, tell func(line string)) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to maintain: %w", err)
	}
	defer conn.Release()
	if err := awaitOthers(ctx, conn, tell); err != nil {
		return err
	}
	rows, _ := conn.Query(ctx, `
		SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid = 'flightbill.river_job'::regclass AND NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' ORDER BY 1`)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for what is left of earlier runs: %w", err)
	}
	for _, index := range left {
		if _, err := conn.Exec(ctx, `DROP INDEX CONCURRENTLY IF EXISTS `+pgx.Identifier{Schema, index}.Sanitize()); err != nil {
			return fmt.Errorf("remove index %s, left of a run that was cut short: %w", index, err)
		}
		tell(index + ": left of a run that was cut short, removed")
	}
	for _, index := range indexes {
		if err := awaitOthers(ctx, conn, tell); err != nil {
			return err
		}
		began, before := time.Now(), "" // not the billing clock: how long it took
		name := pgx.Identifier{Schema, index}.Sanitize()
		const size = `SELECT pg_size_pretty(pg_relation_size($1::text::regclass))`
		if err := conn.QueryRow(ctx, size, name).Scan(&before); err != nil {
			return fmt.Errorf("look at index %s: %w", index, err)
		}
		if _, err := conn.Exec(ctx, `REINDEX INDEX CONCURRENTLY `+name); err != nil {
			return fmt.Errorf("rebuild index %s: %w", index, err)
		}
		var after string
		if err := conn.QueryRow(ctx, size, name).Scan(&after); err != nil {
			return fmt.Errorf("look at index %s: %w", index, err)
		}
		tell(fmt.Sprintf("%s: %s, was %s; rebuilt in %s", index, after, before, time.Since(began).Round(time.Millisecond)))
	}
	return nil
}

// awaitOthers waits until nobody else vacuums River's jobs or rebuilds an index of theirs:
// River itself may, and what looks like left over is then in the making.
func awaitOthers(ctx context.Context, conn *pgxpool.Conn, tell func(line string)) error {
	for told := false; ; told = true {
		var busy bool
		err := conn.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation' AND relation = 'flightbill.river_job'::regclass
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND mode = 'ShareUpdateExclusiveLock' AND pid <> pg_backend_pid())`).Scan(&busy)
		switch {
		case err != nil:
			return fmt.Errorf("look whether others maintain river_job: %w", err)
		case !busy:
			return nil
		case !told:
			tell("waiting: somebody else vacuums river_job, or rebuilds an index of it")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(maintainEvery):
		}
	}
}
