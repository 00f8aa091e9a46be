package imports

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// factColumn stands among the columns of a file for any number of them, each with the
// name of a fact in place of NAME.
const factColumn = "fact.NAME"

// addFactColumn makes a column of a fact known, where the file may have such.
func (f *csvFile) addFactColumn(column string) error {
	name, ok := strings.CutPrefix(column, "fact.")
	_, allowed := f.columns[factColumn]
	_, twice := f.columns[column]
	if !ok || !allowed || twice {
		return nil
	}
	if err := billing.CheckFactName(name); err != nil {
		return err
	}
	f.columns[column] = -1
	f.facts = append(f.facts, name)
	return nil
}

// fact returns the row's fact of a name, and warns of text where a tariff counts.
func (f *csvFile) fact(name string) billing.Fact {
	fact := billing.NamedFact(name, f.raw("fact."+name))
	if _, isNumber := fact.Number(); !isNumber && !fact.IsZero() && f.counted[name] != "" {
		f.warnf(f.line, "column fact.%s: %s is text, and tariff %q counts it: write a number, or nothing where it is not known", name, shown(fact.String()), f.counted[name])
	}
	return fact
}

// appendFacts appends the row's facts to buf as a JSON object.
func (f *csvFile) appendFacts(buf []byte) []byte {
	buf = append(buf, '{')
	first := true
	for _, name := range f.facts {
		fact := f.fact(name)
		if fact.IsZero() {
			continue
		}
		if !first {
			buf = append(buf, ',')
		}
		first = false
		buf = append(append(append(buf, '"'), name...), `":`...)
		value, err := fact.MarshalJSON()
		if err != nil { // it is UTF-8
			panic(err)
		}
		buf = append(buf, value...)
	}
	return append(buf, '}')
}

// namedFacts returns the row's facts; those of empty cells too, which are none.
func (f *csvFile) namedFacts() map[string]billing.Fact {
	facts := make(map[string]billing.Fact, len(f.facts))
	for _, name := range f.facts {
		facts[name] = f.fact(name)
	}
	return facts
}

// countedFacts names the facts that tariffs count, each with the code of one of them.
func countedFacts(ctx context.Context, pool *pgxpool.Pool) (map[string]string, error) {
	tariffs, err := db.Tariffs(ctx, dbsqlc.New(pool))
	if err != nil {
		return nil, err
	}
	counted := map[string]string{}
	for i := range tariffs {
		for name := range tariffs[i].CountedFacts() {
			counted[name] = tariffs[i].Code
		}
	}
	return counted, nil
}
