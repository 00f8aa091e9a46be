package billing

// Step is a fact or a figure that an amount was made of.
type Step struct {
	What  string `json:"what"`           // "mtow_kg", "units"
	Value string `json:"value"`          // "73500", "3"
	How   string `json:"how,omitempty"`  // "(67 - 30) / 15, rounded up"
	From  string `json:"from,omitempty"` // of a fact that is not the flight source's: "aircraft G-ABCD"
}

// Explanation says what a tariff comes to for a flight.
type Explanation struct {
	Tariff *Tariff
	Charge *Charge // nil: none
	Why    string  // there is none: the first condition that fails, or the fact that is missing
}
