package billing

// When is what must hold of a flight's facts for a tariff to apply.
type When struct {
	text string
}

// ParseWhen reads the column when.
func ParseWhen(text string) (When, error) { return When{text}, nil }

// String returns it as it is written.
func (w When) String() string { return w.text }

// During is when a landing or take-off must be, on the wall clock of its airport.
type During struct {
	text string
}

// ParseDuring reads the column during.
func ParseDuring(text string) (During, error) { return During{text}, nil }

// String returns it as it is written.
func (d During) String() string { return d.text }
