package db

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrUnreachable: the database server did not answer.
	ErrUnreachable = errors.New("database unreachable")
	// ErrServerTooOld: the server is older than OldestPostgres.
	ErrServerTooOld = errors.New("database server too old")
	// ErrNotUTF8: the database has another encoding.
	ErrNotUTF8 = errors.New("database is not in UTF-8")
	// ErrSchemaTooNew: a newer flightbill has migrated the database.
	ErrSchemaTooNew = errors.New("database schema too new")
	// ErrSchemaTooOld: migrations of this flightbill have not been run.
	ErrSchemaTooOld = errors.New("database schema too old")
	// ErrCannotMigrate: something about the database or the role has to be changed
	// first; nothing was.
	ErrCannotMigrate = errors.New("database cannot be migrated")
	// ErrInvoicesIssued: a migration is not taken back over issued invoices.
	ErrInvoicesIssued = errors.New("invoices have been issued")
	// ErrJobLost: the job that asked for a save is in other hands by now;
	// nothing was saved.
	ErrJobLost = errors.New("job is no longer this attempt's")
	// ErrCustomerLocked: somebody's transaction has locked a customer for longer than is
	// waited; nothing was changed.
	ErrCustomerLocked = errors.New("customer locked by another transaction")
	// ErrLocked: the same of anything else.
	ErrLocked = errors.New("locked by another transaction")
	// ErrSettingsDiffer: the process was given other billing settings than the
	// database has.
	ErrSettingsDiffer = errors.New("billing settings differ")
	// ErrClock: the machine's clock, or its zone database, is not the database's.
	ErrClock = errors.New("wrong clock")
)

// Away reports whether an error says that the database did not answer, or could not:
// nothing is known then of what it was asked.
func Away(err error) bool {
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	return !answered || strings.HasPrefix(pgErr.Code, "08") || strings.HasPrefix(pgErr.Code, "53") || strings.HasPrefix(pgErr.Code, "57P")
}
