package billing

// During is when a landing or take-off must be, on the wall clock of its airport.
type During struct {
	text string
}

// ParseDuring reads the column during.
func ParseDuring(text string) (During, error) { return During{text}, nil }

// String returns it as it is written.
func (d During) String() string { return d.text }
