package faults_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What follows is README's "Data in" and "Invoices and the billing calendar" computed a second time, with fractions,
// and without any code of flightbill's.

const customersCSV = `code,name,operators,aircraft,billing_frequency,week_ends_on,payment_terms_days,billing_hold
MON,Monthly Air,MON,,monthly,,30,
SUN,Sunday Air,SUN,,weekly,7,14,
WED,Wednesday Air,WED,,weekly,3,30,
EACH,Single Air,EACH,,per_flight,,10,
HELD,Held Air,HELD,,weekly,5,14,true
KM,Kilometre Air,KM,,per_flight,,0,
OWN,Own Price Air,OWN,N-OWN1,monthly,,30,
`

const tariffsCSV = `code,description,basis,customer,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to
RUNWAY,Runway use,per_tonne,,,departure,,136,2.015,10.00,EUR,0.20,2012-01-01,
RUNWAY-HEAVY,Runway use above 136 t,per_tonne,,,departure,136,,1.335,0,EUR,0.19,2012-01-01,
RUNWAY,Runway use by contract,per_tonne,OWN,,departure,,136,1.777,0,EUR,0.20,2012-01-01,
NAV,En route,route,,EGLL,arrival,,,61.37,,GBP,0,2012-01-01,
TERMINAL,Terminal,terminal,,EGLL,arrival,,,142.18,,GBP,0.05,2012-01-01,
PAX,Passengers,per_passenger,,LFPG,any,,,1.235,,EUR,0.10,2012-01-01,
DISTANCE,Distance,per_km,,RJTT,arrival,,,13.45,,JPY,0.08,2012-01-01,
STAND,Stand,per_flight,,EHAM,arrival,50,,75.55,,EUR,0.21,2012-01-01,
`

// payer is a customer, as far as it decides what is billed when.
type payer struct {
	code, frequency string
	weekEndsOn      int
	terms           int // days
}

var payers = map[string]payer{
	"MON": {"MON", "monthly", 0, 30}, "SUN": {"SUN", "weekly", 7, 14}, "WED": {"WED", "weekly", 3, 30}, "EACH": {"EACH", "per_flight", 0, 10},
	"HELD": {"HELD", "weekly", 5, 14}, "KM": {"KM", "per_flight", 0, 0}, "OWN": {"OWN", "monthly", 0, 30},
}

// payerOf is who pays for a flight: whose the aircraft is, and else whose the operator.
func payerOf(f facts) payer {
	if f.aircraft == "N-OWN1" {
		return payers["OWN"]
	}
	return payers[f.operator]
}

// tariff is a row of tariffs, as Postgres' to_jsonb has it.
type tariff struct {
	Code      string  `json:"code"`
	Basis     string  `json:"basis"`
	Customer  *string `json:"customer"`
	Airport   *string `json:"airport"`
	AppliesTo string  `json:"applies_to"`
	BandFrom  *number `json:"band_from"`
	BandTo    *number `json:"band_to"`
	UnitRate  number  `json:"unit_rate"`
	Minimum   *number `json:"minimum"`
	Currency  string  `json:"currency"`
	TaxRate   number  `json:"tax_rate"`
}

// number is an exact one, in JSON with or without quotes.
type number struct{ *big.Rat }

func (n *number) UnmarshalJSON(text []byte) error {
	var ok bool
	if n.Rat, ok = new(big.Rat).SetString(strings.Trim(string(text), `"`)); !ok {
		return fmt.Errorf("%q is not a number", text)
	}
	return nil
}

// what a line is for; lines of one flight that have it in common are added up.
type item struct{ customer, currency, code, unitRate, taxRate string }

// sums are quantity, amount and tax.
type sums [3]*big.Rat

func (s sums) add(other sums) sums {
	for i := range s {
		sum := new(big.Rat)
		if s[i] != nil {
			sum.Set(s[i])
		}
		if other[i] != nil {
			sum.Add(sum, other[i])
		}
		s[i] = sum
	}
	return s
}

func (s sums) isZero() bool {
	return !slices.ContainsFunc(s[:], func(r *big.Rat) bool { return r != nil && r.Sign() != 0 })
}

// lines are what a flight is charged.
type lines map[item]sums

func (l lines) String() string {
	var all []string
	for i, s := range l {
		all = append(all, fmt.Sprintf("%s %s %s at %s tax %s: %s × = %s + %s", i.customer, i.currency, i.code, i.unitRate, i.taxRate,
			s[0].FloatString(4), s[1].FloatString(3), s[2].FloatString(3)))
	}
	slices.Sort(all)
	return "[" + strings.Join(all, "; ") + "]"
}

// equals compares what is not 0.
func (l lines) equals(other lines) bool {
	for i, s := range l {
		if o := other[i]; !s.isZero() && (o[0] == nil || s[0].Cmp(o[0]) != 0 || s[1].Cmp(o[1]) != 0 || s[2].Cmp(o[2]) != 0) {
			return false
		}
	}
	for i, s := range other {
		if _, ok := l[i]; !ok && !s.isZero() {
			return false
		}
	}
	return true
}

// priceOf prices a flight. The tariffs of this test are always valid, and every flight here has all its facts.
func priceOf(f facts, pays payer, tariffs []tariff) lines {
	applying := slices.DeleteFunc(slices.Clone(tariffs), func(t tariff) bool { return !applies(t, f, pays.code) })
	priced := lines{}
	for _, t := range applying {
		replaced := t.Customer == nil && slices.ContainsFunc(applying, func(o tariff) bool { return o.Customer != nil && o.Code == t.Code })
		quantity := quantityOf(t, f)
		if replaced || quantity.Sign() == 0 {
			continue
		}
		places := placesOf(t.Currency)
		amount := new(big.Rat).Mul(quantity, t.UnitRate.Rat)
		if t.Minimum != nil && amount.Cmp(t.Minimum.Rat) < 0 {
			amount = t.Minimum.Rat
		}
		amount = round(amount, places)
		tax := round(new(big.Rat).Mul(amount, t.TaxRate.Rat), places)
		key := item{pays.code, t.Currency, t.Code, t.UnitRate.RatString(), t.TaxRate.RatString()}
		priced[key] = priced[key].add(sums{quantity, amount, tax})
	}
	return priced
}

func placesOf(currency string) int {
	if currency == "JPY" {
		return 0
	}
	return 2
}

func applies(t tariff, f facts, customer string) bool {
	if t.Customer != nil && *t.Customer != customer {
		return false
	}
	if t.Basis != "per_tonne" {
		tonnes := big.NewRat(ceilTonnes(f.mass), 1)
		if t.BandFrom != nil && tonnes.Cmp(t.BandFrom.Rat) <= 0 || t.BandTo != nil && tonnes.Cmp(t.BandTo.Rat) > 0 {
			return false
		}
	}
	if t.Airport == nil {
		return true
	}
	return t.AppliesTo != "arrival" && *t.Airport == f.origin || t.AppliesTo != "departure" && *t.Airport == f.destination
}

func ceilTonnes(kg int64) int64 { return (kg + 999) / 1000 }

func quantityOf(t tariff, f facts) *big.Rat {
	zero := new(big.Rat)
	atLeast0 := func(r *big.Rat) *big.Rat {
		if r.Sign() < 0 {
			return zero
		}
		return r
	}
	switch t.Basis {
	case "per_flight":
		return big.NewRat(1, 1)
	case "per_tonne":
		tonnes := big.NewRat(ceilTonnes(f.mass), 1)
		if t.BandTo != nil && t.BandTo.Cmp(tonnes) < 0 {
			tonnes.Set(t.BandTo.Rat)
		}
		if t.BandFrom != nil {
			tonnes.Sub(tonnes, t.BandFrom.Rat)
		}
		return atLeast0(tonnes)
	case "per_km":
		return big.NewRat(f.hectometres, 10)
	case "per_passenger":
		return big.NewRat(f.passengers, 1)
	case "route":
		distance := atLeast0(round(big.NewRat(f.hectometres-400, 1000), 2))
		return new(big.Rat).Mul(distance, routeWeight(f.mass))
	case "terminal":
		return terminalWeight(f.mass)
	}
	panic("basis " + t.Basis)
}

// routeWeight is √(t / 50), t to one decimal, to two decimals. With t = n/10, a hundred times that is √(20 n), whose
// nearest whole number is (⌊√(80 n)⌋ + 1) / 2: a tie would need an odd square.
func routeWeight(kg int64) *big.Rat {
	n := round(big.NewRat(kg, 100), 0).Num()
	root := new(big.Int).Sqrt(new(big.Int).Mul(n, big.NewInt(80)))
	return big.NewRat((root.Int64()+1)/2, 100)
}

// terminalWeight is (t / 50)^0.7 to two decimals: the greatest q/100 with (2q − 1)^10 × 50000^7 ≤ kg^7 × 200^10.
func terminalWeight(kg int64) *big.Rat {
	power := func(x, n int64) *big.Int { return new(big.Int).Exp(big.NewInt(x), big.NewInt(n), nil) }
	right, scale := new(big.Int).Mul(power(kg, 7), power(200, 10)), power(50_000, 7)
	q := int64(0)
	for step := int64(1 << 12); step > 0; step /= 2 {
		if next := q + step; new(big.Int).Mul(power(2*next-1, 10), scale).Cmp(right) <= 0 {
			q = next
		}
	}
	return big.NewRat(q, 100)
}

// round rounds to so many decimals, half away from zero.
func round(x *big.Rat, places int) *big.Rat {
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
	scaled := new(big.Rat).Mul(x, scale)
	twice := new(big.Int).Mul(new(big.Int).Abs(scaled.Num()), big.NewInt(2))
	whole := new(big.Int).Quo(twice.Add(twice, scaled.Denom()), new(big.Int).Mul(scaled.Denom(), big.NewInt(2)))
	if x.Sign() < 0 {
		whole.Neg(whole)
	}
	return new(big.Rat).Quo(new(big.Rat).SetInt(whole), scale)
}

// closing returns the closing date that a flight of a day is billed on when everything up to the cut-off has been run, and
// whether it is late; no date where the customer is billed per flight.
func (p payer) closing(landed, cutoff time.Time, nextDay bool) (closes time.Time, late bool) {
	if p.frequency == "per_flight" {
		return time.Time{}, false
	}
	if !nextDay {
		landed = landed.AddDate(0, 0, 1) // the closing date's own flights belong to the next period
	}
	if closes = p.closingFrom(landed); closes.After(cutoff) {
		return closes, false
	}
	return p.closingFrom(cutoff.AddDate(0, 0, 1)), true
}

// closingFrom returns the first closing date on a day or after it.
func (p payer) closingFrom(day time.Time) time.Time {
	if p.frequency == "weekly" {
		return day.AddDate(0, 0, (p.weekEndsOn-int(day.Weekday())+7)%7)
	}
	return time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC)
}

// TestPriceByHand holds the computation to figures worked out by hand: Dublin's published 988.00 for 200 t, and a real
// flight of 79,016 kg over 2,253.1 km.
func TestPriceByHand(t *testing.T) {
	t.Parallel()
	rat := func(s string) number { r, _ := new(big.Rat).SetString(s); return number{r} }
	at136 := rat("136")
	price := func(f facts, t ...tariff) string {
		var total sums
		for _, s := range priceOf(f, payers["MON"], t) {
			total = total.add(s)
		}
		return total[1].FloatString(3) + " " + total[2].FloatString(3)
	}
	heavy := facts{mass: 200_000}
	require.Equal(t, "988.000 0.000", price(heavy,
		tariff{Code: "A", Basis: "per_tonne", UnitRate: rat("5.50"), TaxRate: rat("0"), BandTo: &at136, Currency: "EUR"},
		tariff{Code: "B", Basis: "per_tonne", UnitRate: rat("3.75"), TaxRate: rat("0"), BandFrom: &at136, Currency: "EUR"}))
	seen := facts{mass: 79_016, hectometres: 22_531}
	require.Equal(t, "1721.820 0.000", price(seen, tariff{Basis: "route", UnitRate: rat("61.75"), TaxRate: rat("0"), Currency: "USD"}))
	require.Equal(t, "196.210 39.240", price(seen, tariff{Basis: "terminal", UnitRate: rat("142.18"), TaxRate: rat("0.2"), Currency: "USD"}))
	require.Equal(t, "1722.000 0.000", price(seen, tariff{Basis: "route", UnitRate: rat("61.75"), TaxRate: rat("0"), Currency: "JPY"}))
	require.Equal(t, "-3", round(big.NewRat(-5, 2), 0).RatString())

	day := func(s string) time.Time { d, _ := time.Parse(time.DateOnly, s); return d }
	for _, c := range []struct {
		customer, landed, cutoff string
		nextDay                  bool
		closes                   string
		late                     bool
	}{
		{"SUN", "2013-01-05", "2013-01-05", false, "2013-01-06", false}, {"SUN", "2013-01-06", "2013-01-05", false, "2013-01-13", false},
		{"SUN", "2013-01-06", "2013-01-05", true, "2013-01-06", false}, {"SUN", "2013-01-05", "2013-01-06", false, "2013-01-13", true},
		{"MON", "2013-01-30", "2013-01-30", false, "2013-01-31", false}, {"MON", "2013-01-31", "2013-01-30", false, "2013-02-28", false},
		{"MON", "2013-01-31", "2013-01-30", true, "2013-01-31", false}, {"MON", "2012-12-05", "2013-01-30", true, "2013-01-31", true},
	} {
		closes, late := payers[c.customer].closing(day(c.landed), day(c.cutoff), c.nextDay)
		require.Equal(t, c.closes, closes.Format(time.DateOnly), c)
		require.Equal(t, c.late, late, c)
	}
}
