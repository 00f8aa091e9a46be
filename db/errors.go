package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	// ErrAddress: what is to be connected to is not understood.
	ErrAddress = errors.New("DATABASE_URL is not a Postgres address")
	// ErrUnreachable: the database server did not answer.
	ErrUnreachable = errors.New("database unreachable")
	// ErrNotWritable: the database is a standby, or read-only.
	ErrNotWritable = errors.New("database cannot be written")
	// ErrServerTooOld: the server is older than OldestPostgres.
	ErrServerTooOld = errors.New("database server too old")
	// ErrPooler: what stands before the database is not what it was said to be, or it is
	// not set up for flightbill.
	ErrPooler = errors.New("connection pooler")
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
	// ErrNoRight: the role that is logged in lacks a right; see NoRight.
	ErrNoRight   = errors.New("a right is lacking")
	errNoWebhook = errors.New("there is none of that id; flightbill webhooks list shows them")
	// ErrClock: the machine's clock, or its zone database, is not the database's.
	ErrClock = errors.New("wrong clock")
)

// UnfitBy names what an error says a process must not work with the database by: its clock,
// or the schema, which others have migrated. It is empty of any other error.
func UnfitBy(err error) string {
	switch {
	case errors.Is(err, ErrClock):
		return "clock"
	case errors.Is(err, ErrSchemaTooNew), errors.Is(err, ErrSchemaTooOld):
		return "schema"
	}
	return ""
}

// Unfit reports whether an error says that a process must not work with the database.
func Unfit(err error) bool { return UnfitBy(err) != "" }

// SchemaDiffers reports whether an error says that the database has not what it was asked
// for, or has it otherwise. Somebody may have migrated it, which CheckSchema tells; or the
// function of a trigger of somebody else's asks for what is not there.
func SchemaDiffers(err error) bool {
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	return answered && (slices.Contains([]string{"42P01", "42703", "42883"}, pgErr.Code) || // a relation, a column, a function
		pgErr.Code == "0A000" && pgErr.Routine == "RevalidateCachedQuery") // "cached plan must not change result type", in whatever language
}

// Away reports whether an error says that the database did not answer, or cannot be
// written: nothing is wrong with what it was asked, and waiting helps.
func Away(err error) bool {
	switch {
	case errors.Is(err, ErrNotWritable):
		return true
	case errors.Is(err, context.Canceled), errors.Is(err, ErrPooler):
		return false
	}
	connecting, isConnecting := errors.AsType[*pgconn.ConnectError](err)
	if pgErr, answered := errors.AsType[*pgconn.PgError](err); answered {
		switch class := pgErr.Code[:min(2, len(pgErr.Code))]; {
		case class == "08", class == "53", strings.HasPrefix(pgErr.Code, "57P"), pgErr.Code == "25006":
			return true
		default:
			return isConnecting
		}
	}
	_, network := errors.AsType[net.Error](err) // a deadline, too
	return connecting != nil || network || pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Refused reports whether an error of a connection says that its password, its role or
// the database's name is wrong: so until someone puts it right.
func Refused(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	return connecting && answered && (strings.HasPrefix(pgErr.Code, "28") || strings.HasPrefix(pgErr.Code, "3D"))
}

// LostStatement reports whether an error says that a prepared statement is not there, or
// is another's: the mark of a pooler in transaction mode that is taken for another.
func LostStatement(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "26000" || pgErr.Code == "42P05")
}

// NoRight reports whether an error says that the role which is logged in lacks a right.
func NoRight(err error) bool {
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, ErrNoRight) || answered && pgErr.Code == "42501"
}

// TryAgain reports whether the same may succeed at once: the database was away, or two
// transactions were in each other's way.
func TryAgain(err error) bool {
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	return Away(err) || answered && (pgErr.Code == "40001" || pgErr.Code == "40P01")
}

// AwayReason says of an error that is Away what is the matter, with no host, user or
// name: for callers who may be anybody.
func AwayReason(err error) string {
	if blocked, ok := errors.AsType[*notWritableError](err); ok {
		return blocked.what
	}
	pgErr, _ := errors.AsType[*pgconn.PgError](err)
	switch {
	case pgErr == nil:
		return "does not answer"
	case pgErr.Code == "25006":
		return "is read-only"
	case pgErr.Code == "53100":
		return "has no space left"
	case pgErr.Code == "53300":
		return "has no connection left"
	case strings.HasPrefix(pgErr.Code, "53"):
		return "has no resources left"
	case strings.HasPrefix(pgErr.Code, "57P"):
		return "is starting or shutting down"
	}
	return "takes no connections"
}

// notWritableError says why a database that answers cannot be worked with.
type notWritableError struct{ what, remedy string }

func (e *notWritableError) Error() string {
	return ErrNotWritable.Error() + ": it " + e.what + "; " + e.remedy
}
func (e *notWritableError) Unwrap() error { return ErrNotWritable }

// CheckWritable reports whether the database answers and can be written.
func CheckWritable(ctx context.Context, pool *pgxpool.Pool) error {
	var standby, readOnly bool
	if err := pool.QueryRow(ctx, `SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean`).Scan(&standby, &readOnly); err != nil {
		return fmt.Errorf("look whether the database can be written: %w", err)
	}
	switch {
	case standby:
		pool.Reset() // a new connection may find another server, or otherwise; so below
		return &notWritableError{"is a standby", "have DATABASE_URL name the primary, or add target_session_attrs=read-write with both hosts"}
	case readOnly:
		pool.Reset()
		return &notWritableError{"is read-only", "see default_transaction_read_only, of the database and of the role"}
	}
	return nil
}

// CheckSpace reports whether the database's disk takes what is written, by a temporary
// file of a megabyte. A full one answers questions all the same.
func CheckSpace(ctx context.Context, pool *pgxpool.Pool) error {
	err := pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL work_mem = '64kB'; SET LOCAL temp_tablespaces = ''`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT count(*) FROM generate_series(1, 60000)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("look whether the database's disk can be written: %w", err)
	}
	return nil
}

// DiskFull reports whether an error says that there is no space on the database's disk.
func DiskFull(err error) bool {
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	return answered && pgErr.Code == "53100"
}
