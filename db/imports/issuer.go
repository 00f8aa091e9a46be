package imports

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/document"
)

// issuerColumns: what the file does not have stays; so does the logo, which no file has.
var issuerColumns = masterColumns(document.IssuerColumns)

// loadIssuer makes a new version of the issuer of the file's one row.
func loadIssuer(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (Result, error) {
	change, line := db.IssuerChange{}, 0
	for file.next() {
		if line > 0 {
			file.problemf(file.line, "there is one issuer: leave out this row or that of line %d", line)
			break
		}
		line, change.Cells = file.line, file.master(document.IssuerColumns)
	}
	if err := file.err(); err != nil || line == 0 {
		return Result{}, err
	}
	var now time.Time
	if err := pool.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return Result{}, err
	}
	before, after, err := db.ChangeIssuer(ctx, pool, change, now)
	if wrong, ok := errors.AsType[*db.IssuerError](err); ok {
		file.wrongAt(line, wrong.Column, change.Cells[wrong.Column], wrong.Expected)
		return Result{}, file.err()
	}
	switch {
	case err != nil:
		return Result{}, err
	case before == nil:
		return Result{Added: 1}, nil
	case before != after:
		return Result{Changed: 1}, nil
	}
	return Result{}, nil
}
