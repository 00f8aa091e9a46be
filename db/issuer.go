package db

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/document"
)

// IssuerVersion is the issuer as it is from a time on.
type IssuerVersion struct {
	Since time.Time
	Cells map[string]string // by column; those that are empty are left out
	Logo  []byte
}

// Issuer is the version as documents have it.
func (v *IssuerVersion) Issuer() (*document.Issuer, error) {
	text, err := json.Marshal(v.Cells)
	if err != nil {
		return nil, err
	}
	issuer := document.Issuer{}
	if err := json.Unmarshal(text, &issuer); err != nil {
		return nil, fmt.Errorf("read the issuer: %w", err)
	}
	issuer.Logo = v.Logo
	return &issuer, nil
}

const serializationFailure = "40001"

// ReadIssuer returns the issuer as it is now, nil where there is none.
func ReadIssuer(ctx context.Context, db dbsqlc.DBTX) (*IssuerVersion, error) {
	row, err := dbsqlc.New(db).IssuerGet(ctx)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // there may be none
	case err != nil:
		return nil, fmt.Errorf("read the issuer: %w", err)
	}
	version := IssuerVersion{Since: row.Since, Logo: row.Logo}
	if err := json.Unmarshal(row.Issuer, &version.Cells); err != nil {
		return nil, fmt.Errorf("read the issuer: %w", err)
	}
	maps.DeleteFunc(version.Cells, func(_, cell string) bool { return cell == "" })
	return &version, nil
}

// IssuerChange is what is to be changed of the issuer.
type IssuerChange struct {
	Cells map[string]string // by column, as document.Column.Read returns them; "" takes away
	Logo  *[]byte           // nil: it stays; empty: there is none
}

// IssuerError says which column is wrong, and what is to be written there.
type IssuerError struct{ Column, Expected string }

func (e *IssuerError) Error() string { return e.Column + ": " + e.Expected }

// ChangeIssuer makes a new version of the issuer, unless nothing changes. It returns the
// versions before and after; before is nil where there was none.
func ChangeIssuer(ctx context.Context, pool *pgxpool.Pool, change IssuerChange, now time.Time) (before, after *IssuerVersion, err error) {
	// Two that change other columns at once must not lose each other's: one of them fails.
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
		if before, err = ReadIssuer(ctx, tx); err != nil {
			return err
		}
		after = change.onto(before, now)
		if before != nil && maps.Equal(before.Cells, after.Cells) && bytes.Equal(before.Logo, after.Logo) {
			after = before
			return nil
		}
		if after.Cells["name"] == "" {
			return &IssuerError{"name", "write the legal name of who issues the invoices"}
		}
		if column, expected := document.CheckTogether(after.Cells); column != "" {
			return &IssuerError{column, expected}
		}
		cells, err := json.Marshal(after.Cells)
		if err != nil {
			return err
		}
		return dbsqlc.New(tx).IssuerInsert(ctx, dbsqlc.IssuerInsertParams{Since: after.Since, Cells: cells, Logo: after.Logo})
	})
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok && failure.Code == serializationFailure {
		return nil, nil, errors.New("change the issuer: somebody else changed it at the same time; do it again")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("change the issuer: %w", err)
	}
	return before, after, nil
}

func (c IssuerChange) onto(before *IssuerVersion, now time.Time) *IssuerVersion {
	after := IssuerVersion{Since: now, Cells: map[string]string{}}
	if before != nil {
		maps.Copy(after.Cells, before.Cells)
		after.Logo = before.Logo
	}
	maps.Copy(after.Cells, c.Cells)
	after.Cells["language"] = cmp.Or(after.Cells["language"], "en")
	maps.DeleteFunc(after.Cells, func(_, cell string) bool { return cell == "" })
	if c.Logo != nil {
		after.Logo = nil
		if len(*c.Logo) > 0 {
			after.Logo = *c.Logo
		}
	}
	return &after
}
