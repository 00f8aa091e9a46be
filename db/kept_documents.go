package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/document/render"
)

// GiveDocument returns an issued invoice in a format, to be given to somebody. A document
// is written once: it is kept, and the same bytes are given ever after, by a newer
// flightbill too. Of two who write it at once both get the same one. now is when it is kept.
func GiveDocument(ctx context.Context, db dbsqlc.DBTX, number string, format render.Format, now time.Time) ([]byte, error) {
	if format.IsDocument() {
		kept, err := keptDocument(ctx, db, number, format)
		if kept != nil || err != nil {
			return kept, err
		}
	}
	invoice, err := ReadDocument(ctx, db, number)
	if err != nil {
		return nil, err
	}
	written, err := render.Write(invoice, format)
	if err != nil || !format.IsDocument() {
		return written, err
	}
	err = dbsqlc.New(db).InvoiceDocumentAdd(ctx, dbsqlc.InvoiceDocumentAddParams{
		Number: number, Format: string(format), Version: render.Version(), MadeAt: now, Bytes: written,
	})
	switch {
	case NoRight(err):
		return nil, fmt.Errorf("the %s of invoice %s is not kept yet, and is given by who may keep it: %w", upper(format), number, err)
	case err != nil:
		return nil, fmt.Errorf("keep the %s of invoice %s: %w", upper(format), number, err)
	}
	kept, err := keptDocument(ctx, db, number, format)
	if kept == nil && err == nil {
		err = fmt.Errorf("the %s of invoice %s was removed as it was given: give it again", upper(format), number)
	}
	return kept, err
}

func upper(format render.Format) string { return strings.ToUpper(string(format)) }

// keptDocument is nil where it was never given.
func keptDocument(ctx context.Context, db dbsqlc.DBTX, number string, format render.Format) ([]byte, error) {
	bytes, err := dbsqlc.New(db).InvoiceDocumentGet(ctx, dbsqlc.InvoiceDocumentGetParams{Number: number, Format: string(format)})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // not kept is no error
	case err != nil:
		return nil, fmt.Errorf("read the %s of invoice %s: %w", upper(format), number, err)
	}
	return bytes, nil
}

// ListNumbers lists what was issued on some days, with both of them; no day: since ever,
// or until now. No customer: all customers'.
func ListNumbers(ctx context.Context, db dbsqlc.DBTX, customer string, from, to billing.Date) ([]string, error) {
	numbers, err := dbsqlc.New(db).InvoiceNumbers(ctx, dbsqlc.InvoiceNumbersParams{Customer: customer, FromDay: from, ToDay: to})
	if err != nil {
		return nil, fmt.Errorf("list the numbers of invoices: %w", err)
	}
	return numbers, nil
}

// RemoveDocuments removes documents that were kept for longer than a time, an interval of
// Postgres, and returns how many. It takes the owner of the tables.
func RemoveDocuments(ctx context.Context, db dbsqlc.DBTX, retention string) (int64, error) {
	removed, err := dbsqlc.New(db).InvoiceDocumentRemove(ctx, retention)
	if err != nil {
		return 0, fmt.Errorf("remove documents that were kept for %s: %w", retention, err)
	}
	return removed, nil
}
