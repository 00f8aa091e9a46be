package db

import (
	"context"
	"fmt"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// UnmatchedCodes lists the codes that may be mistakes, as the view unmatched_codes has
// them.
func UnmatchedCodes(ctx context.Context, db dbsqlc.DBTX) ([]dbsqlc.UnmatchedCodeListRow, error) {
	codes, err := dbsqlc.New(db).UnmatchedCodeList(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the unmatched codes: %w", err)
	}
	return codes, nil
}

// CountUnmatchedCodes counts them by where they are found and their kind.
func CountUnmatchedCodes(ctx context.Context, db dbsqlc.DBTX) ([]dbsqlc.UnmatchedCodeCountsRow, error) {
	counts, err := dbsqlc.New(db).UnmatchedCodeCounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the unmatched codes: %w", err)
	}
	return counts, nil
}
