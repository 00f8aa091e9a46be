package billing

// RuleKey is what makes two tariffs one rule, of which one says something newer: codes by
// their form, conditions and hours however they are written. No lower end of a band and
// a lower end of 0 are one key: two such rules always overlap.
type RuleKey struct {
	code      string
	customer  int64
	airport   string
	appliesTo AppliesTo
	when      string
	during    string
	bandOf    string
	bandFrom  string
	bandTo    string
	from      Date
}

// Key returns the rule that the tariff is.
func (t *Tariff) Key() RuleKey {
	key := RuleKey{
		code: CodeForm(t.Code), customer: t.CustomerID, airport: CodeForm(t.Airport), appliesTo: t.AppliesTo,
		when: t.When.form(), during: t.During.String(), bandOf: t.bandOf(), bandFrom: orZero(t.BandFrom).String(), from: t.ValidFrom,
	}
	if t.BandTo != nil {
		key.bandTo = t.BandTo.String()
	}
	return key
}

// bandOf returns what the tariff's band limits.
func (t *Tariff) bandOf() string {
	if t.BandOf == "" {
		return bandTonnes
	}
	return t.BandOf
}

// What a band limits, where it is not a fact.
const (
	bandTonnes = "tonnes"
	bandKg     = "kg"
	bandUnits  = "units"
)
