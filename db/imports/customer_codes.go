package imports

import (
	"context"
	"fmt"
	"strings"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// refuseCodesTwice: two codes that differ in case only are one, mistyped.
func refuseCodesTwice(f *csvFile, rows []customerRow) {
	first := map[string]customerRow{}
	for _, row := range rows {
		other, taken := first[strings.ToUpper(row.code)]
		if taken {
			f.wrongAt(row.line, "code", row.code, fmt.Sprintf("line %d has %q, which differs in case only; write both alike", other.line, other.code))
			continue
		}
		first[strings.ToUpper(row.code)] = row
	}
}

// refuseOtherCases does so for codes that the database has.
func (l *customerLoad) refuseOtherCases(ctx context.Context, q *dbsqlc.Queries) error {
	var params dbsqlc.CustomerListOtherCaseParams
	for _, row := range l.rows {
		if _, exists := l.records[row.code]; !exists {
			params.Codes = append(params.Codes, row.code)
			params.UpperCodes = append(params.UpperCodes, strings.ToUpper(row.code))
		}
	}
	if len(params.Codes) == 0 {
		return nil
	}
	existing, err := q.CustomerListOtherCase(ctx, params)
	if err != nil {
		return fmt.Errorf("look for customers' codes in another case: %w", err)
	}
	taken := map[string]string{}
	for _, code := range existing {
		taken[strings.ToUpper(code)] = code
	}
	for _, row := range l.rows {
		if code := taken[strings.ToUpper(row.code)]; code != "" && code != row.code {
			l.file.wrongAt(row.line, "code", row.code, fmt.Sprintf("there is a customer %q, which differs in case only; write its code as it is", code))
		}
	}
	return l.file.err()
}
