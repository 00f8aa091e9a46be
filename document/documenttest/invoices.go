// Package documenttest has invoices for the tests of what is written from them: one of
// each kind that flightbill issues.
package documenttest

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
)

// Invoices returns the invoices by a name that says what each one shows. All are complete:
// the rules of e-invoices find nothing missing. They are new ones at each call.
func Invoices() map[string]*document.Invoice {
	invoices := map[string]*document.Invoice{}
	for name, i := range unpriced() {
		invoices[name] = i.done()
	}
	return invoices
}

// Invoice returns one of them; nil: there is none of the name.
func Invoice(name string) *document.Invoice {
	if i := unpriced()[name]; i != nil {
		return i.done()
	}
	return nil
}

func unpriced() map[string]*invoice {
	landing := tariff{code: "LANDING", description: "Landing charge", unit: "TNE", rate: "12.33", tax: "0.20"}
	passengers := tariff{code: "PAX", description: "Passenger charge", unit: "C62", rate: "4.75", tax: "0.10"}
	parking := tariff{code: "PARKING", description: "Parking, each hour begun", unit: "HUR", rate: "7.5", tax: "0.20"}
	exempt := landing.taxed(billing.TaxExempt, "VATEX-EU-148-G")
	return map[string]*invoice{
		"one-line":       newInvoice(ireland, france).bill(landing, "73.5"),
		"one-rate":       newInvoice(france, ireland).bill(landing, "79", "74.3", "233.123456").bill(parking, "2", "11"),
		"several-rates":  newInvoice(ireland, germany).bill(landing, "79", "74").bill(passengers, "180", "0", "151").bill(exempt, "70"),
		"exempt":         newInvoice(germany, spain).bill(exempt, "79", "74"),
		"exempt-words":   newInvoice(spain, spain2).bill(landing.taxed(billing.TaxExempt, "Navegación aérea, art. 22 LIVA"), "79"),
		"reverse-charge": newInvoice(france, germany).bill(landing.taxed(billing.TaxReverseCharge, ""), "79", "74"),
		"reverse-code":   newInvoice(germany, ireland).bill(landing.taxed(billing.TaxReverseCharge, "VATEX-EU-AE"), "79").bill(parking, "3"),
		"export":         newInvoice(ireland, emirates).bill(landing.taxed(billing.TaxExport, ""), "351"),
		"zero":           newInvoice(britain, britain2).bill(landing.taxed(billing.TaxZero, "Item 6A, Group 8, Schedule 8, VAT Act 1994"), "79").in("GBP"),
		"zero-untaxed":   newInvoice(britain, norway).bill(tariff{code: "NAV", description: "Navigation", unit: "C62", rate: "1.5"}, "3.27").bill(landing.taxed(billing.TaxZero, ""), "79").in("GBP"),
		"outside":        newInvoice(germany, germany2).bill(tariff{code: "INTEREST", description: "Interest on late payment", unit: "C62", rate: "41.27", category: billing.TaxOutside}, "1"),
		"minimum":        newInvoice(norway, norway2).bill(tariff{code: "LANDING", description: "Landing charge", unit: "TNE", rate: "58", minimum: "300", tax: "0.25"}, "2", "5", "79").in("NOK"),
		"maximum":        newInvoice(france, spain).bill(tariff{code: "LANDING", description: "Landing charge", unit: "TNE", rate: "12.5", maximum: "900", tax: "0.20"}, "79", "351"),
		"fixed":          newInvoice(germany, germany2).bill(tariff{code: "HANDLING", description: "Handling, with a fixed part", unit: "TNE", rate: "0.37", fixed: "45", tax: "0.19"}, "79", "74.3", "0"),
		"free":           newInvoice(ireland, france).bill(tariff{code: "PARKING", description: "Parking, the first two hours", unit: "HUR", rate: "0", tax: "0.23"}, "2").bill(landing, "79"),
		"many-decimals":  newInvoice(ireland, spain).bill(tariff{code: "ROUTE", description: "En-route charge", unit: "C62", rate: "58.12345678", tax: "0.135"}, "1.23", "10.07", "7.77"),
		"rebate":         newInvoice(france, germany).bill(landing, "79", "74").bill(tariff{code: "REBATE", description: "10 % off the landing charge", unit: "C62", rate: "-0.1", tax: "0.20"}, "974.07", "912.42"),
		"correction":     newInvoice(ireland, germany).bill(landing, "79").correct(landing, "-74", "71").correct(passengers, "-180"),
		"credit-note":    newInvoice(france, ireland).bill(landing, "-79", "-74").bill(exempt, "-70").credit("IE-AIR-000041", "Billed to the wrong customer"),
		"credit-period":  newInvoice(germany, germany2).bill(landing, "12").correct(landing, "-79").correct(parking, "-2").credit("", ""),
		"credit-minimum": newInvoice(ireland, britain).bill(tariff{code: "LANDING", description: "Landing charge", unit: "TNE", rate: "12.5", minimum: "300", tax: "0.23"}, "-2", "-79").credit("GB-AIR-000007", "Landed elsewhere"),
		"undone-credit":  newInvoice(ireland, germany).bill(landing, "79", "-12").refer("DE-AIR-CN000003", "The credit was a mistake"),
		"late":           newInvoice(france, spain).bill(landing, "79", "74").late(landing, "66.4"),
		"yen":            newInvoice(ireland, germany).bill(tariff{code: "LANDING", description: "\u7740\u9678\u6599, landing", unit: "TNE", rate: "145.67", tax: "0.10"}, "79", "74.3").bill(tariff{code: "PAX", description: "Passenger charge", unit: "C62", rate: "310", tax: "0.10"}, "180").in("JPY"),
		"tax-currency":   newInvoice(britain, france).bill(landing, "79", "74").bill(passengers, "180").taxIn("GBP", "0.85731"),
		"tax-currency-credit": newInvoice(norway, norway2).bill(landing.at("0.25"), "-79").credit("NO-FLY-000012", "Cancelled").
			taxIn("NOK", "11.4635"),
		"no-order":     newInvoice(ireland, noOrder(germany)).bill(landing, "79"),
		"long-names":   newInvoice(long(ireland), longParty(france)).bill(tariff{code: "LANDING", description: strings.Repeat("Landing charge of an aircraft with a very long name, ", 19), unit: "TNE", rate: "12.33", tax: "0.20"}, "79"),
		"hostile":      newInvoice(hostile(ireland), hostileParty(france)).bill(tariff{code: "<LANDING>", description: "]]>&amp;<!-- \x00\x1b[31m\ufffe\U0001f6e9\xff \u202e=cmd|' /C calc'!A0", unit: "TNE", rate: "12.33", tax: "0.20"}, "79").note("=1+1\r\n\"quoted\", \x07"),
		"no-contact":   newInvoice(plain(ireland), plainParty(spain)).bill(landing, "79"),
		"many-rates":   newInvoice(germany, germany2).bill(landing.at("0.19"), "79").bill(parking.at("0.07"), "3").bill(passengers.at("0.055"), "180").bill(landing.at("0.20"), "70"),
		"zero-total":   newInvoice(ireland, france).correct(landing, "79", "-79").bill(tariff{code: "FREE", description: "Exempted flight", unit: "C62", rate: "0", tax: "0.23"}, "1"),
		"20000-lines":  newInvoice(ireland, germany).bill(landing, many(10_000, "79", "74.3", "66.4")...).bill(passengers, many(10_000, "180", "151", "12")...),
		"base-rounded": newInvoice(ireland, germany).bill(tariff{code: "LANDING", description: "Landing charge", unit: "TNE", rate: "0.1234", tax: "0.23"}, many(1_000, "10", "11", "13")...),
	}
}

func many(n int, quantities ...string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = quantities[i%len(quantities)]
	}
	return all
}

// Who bills and who is billed. The ids exist in form alone.
var (
	ireland = document.Issuer{
		Party: document.Party{
			Name: "Shannonside Airport DAC", Street: "1 Runway Road", City: "Limerick", Postcode: "V94 T9PX", Country: "IE",
			VATID: "IE6388047V", LegalID: "549300SZ2K4W7KS0UQ21", LegalIDScheme: "0199",
			ElectronicAddress: "IE6388047V", ElectronicAddressScheme: "9935", Language: "en",
		},
		ContactName: "Accounts", ContactPhone: "+353 61 000 000", ContactEmail: "accounts@airport.example",
		IBAN: "IE29AIBK93115212345678", BIC: "AIBKIE2D", AccountName: "Shannonside Airport DAC", Note: "Thank you for flying with us.",
	}
	france = document.Issuer{
		Party: document.Party{
			Name: "Aéroport de la Côte SA", Street: "Route de l’Aérodrome 5", City: "Lannion", Postcode: "22300", Country: "FR",
			VATID: "FR40303265045", LegalID: "303265045", LegalIDScheme: "0002",
			ElectronicAddress: "FR40303265045", ElectronicAddressScheme: "9957", Language: "fr",
		},
		ContactName: "Comptabilité", ContactPhone: "+33 2 00 00 00 00", ContactEmail: "compta@aeroport.example",
		IBAN: "FR1420041010050500013M02606", BIC: "PSSTFRPPXXX", AccountName: "Aéroport de la Côte SA",
	}
	germany = document.Issuer{
		Party: document.Party{
			Name: "Flughafen Süd GmbH", Street: "Flughafenstraße 1", City: "Memmingen", Postcode: "87766", Subdivision: "BY", Country: "DE",
			VATID: "DE123456789", TaxRegistration: "123/456/7890", LegalID: "HRB 12345",
			ElectronicAddress: "DE123456789", ElectronicAddressScheme: "9930", Language: "de",
		},
		ContactName: "Buchhaltung", ContactPhone: "+49 8331 00000", ContactEmail: "rechnung@flughafen.example",
		IBAN: "DE89370400440532013000", BIC: "COBADEFFXXX", AccountName: "Flughafen Süd GmbH",
	}
	spain = document.Issuer{
		Party: document.Party{
			Name: "Aeropuerto del Norte, S.A.", Street: "Carretera del Aeropuerto, s/n", City: "León", Postcode: "24071", Country: "ES",
			VATID: "ESA58818501", LegalID: "A58818501",
			ElectronicAddress: "ESA58818501", ElectronicAddressScheme: "9920", Language: "es",
		},
		IBAN: "ES9121000418450200051332", BIC: "CAIXESBBXXX",
	}
	britain = document.Issuer{
		Party: document.Party{
			Name: "Moor Airport Ltd", Street: "Moor Lane", City: "Leeds", Postcode: "LS19 7TU", Country: "GB",
			VATID: "GB999999973", LegalID: "01234567", ElectronicAddress: "GB999999973", ElectronicAddressScheme: "9932", Language: "en",
		},
		IBAN: "GB29NWBK60161331926819", BIC: "NWBKGB2L", AccountName: "Moor Airport Ltd",
	}
	norway = document.Issuer{
		Party: document.Party{
			Name: "Fjord Lufthavn AS", Street: "Flyplassveien 1", City: "Førde", Postcode: "6800", Country: "NO",
			VATID: "NO974760673MVA", TaxRegistration: "Foretaksregisteret", LegalID: "974760673", LegalIDScheme: "0192",
			ElectronicAddress: "974760673", ElectronicAddressScheme: "0192", Language: "en",
		},
		IBAN: "NO9386011117947", BIC: "DNBANOKK",
	}
	emirates = document.Issuer{Party: document.Party{
		Code: "AE-AIR", Name: "Desert Air PJSC", Street: "Airport Road", City: "Dubai", Country: "AE",
		LegalID: "100000000000003", LegalIDScheme: "0235", ElectronicAddress: "1000000000", ElectronicAddressScheme: "0235",
	}}
	germany2 = document.Issuer{Party: document.Party{
		Code: "DE-FLY", Name: "Luftreederei Nord GmbH & Co. KG", Street: "Hafen 2", City: "Kiel", Postcode: "24103", Country: "DE",
		VATID: "DE987654321", ElectronicAddress: "04011000-1234512345-06", ElectronicAddressScheme: "0204", BuyerReference: "04011000-1234512345-06",
	}}
	spain2 = document.Issuer{Party: document.Party{
		Code: "ES-FLY", Name: "Líneas Aéreas del Sur, S.L.", Street: "Calle Mayor 1", City: "Málaga", Postcode: "29001", Country: "ES",
		VATID: "ESB58378431", ElectronicAddress: "ESB58378431", ElectronicAddressScheme: "9920",
	}}
	britain2 = document.Issuer{Party: document.Party{
		Code: "GB-FLY", Name: "Channel Hoppers Ltd", Street: "2 Strand", City: "London", Postcode: "WC2N 5HR", Country: "GB",
		VATID: "GB123456789", ElectronicAddress: "GB123456789", ElectronicAddressScheme: "9932", BuyerReference: "PO-7731",
	}}
	norway2 = document.Issuer{Party: document.Party{
		Code: "NO-FLY", Name: "Bjørn Fly AS", Street: "Storgata 1", City: "Bodø", Postcode: "8006", Country: "NO",
		VATID: "NO983544622MVA", LegalID: "983544622", LegalIDScheme: "0192", ElectronicAddress: "983544622", ElectronicAddressScheme: "0192",
	}}
)

func noOrder(i document.Issuer) document.Issuer {
	i.BuyerReference = ""
	return i
}

func long(i document.Issuer) document.Issuer {
	i.Party = longParty(i).Party
	i.Note = strings.Repeat("A long note. ", 80)
	return i
}

func longParty(i document.Issuer) document.Issuer {
	i.Name = strings.Repeat("International Air Transport and Ground Handling ", 20)
	i.Street = strings.Repeat("The Very Long Street of the Airport ", 5)
	return i
}

func hostile(i document.Issuer) document.Issuer {
	i.Party = hostileParty(i).Party
	i.ContactName, i.AccountName, i.Note = "\x00", " \t ", "<a href=\"javascript:alert(1)\">]]></a>\x1b]0;title\x07"
	return i
}

func hostileParty(i document.Issuer) document.Issuer {
	i.Name = "Robert'); DROP TABLE invoices;-- \x00\x08\"<&>\ufffe\uffff \xc3\x28 \U0001f6e9"
	i.Street, i.City = "&#0;\x0b ${jndi} {{7*7}} \u2028\u202e", "\tO’Connell\r\n"
	return i
}

func plain(i document.Issuer) document.Issuer {
	i.Party = plainParty(i).Party
	i.ContactName, i.ContactPhone, i.ContactEmail, i.Note, i.BIC, i.AccountName = "", "", "", "", "", ""
	return i
}

func plainParty(i document.Issuer) document.Issuer {
	i.Postcode, i.Subdivision = "", ""
	return i
}

// tariff is what a line is priced by.
type tariff struct {
	code, description, unit       string
	rate, minimum, maximum, fixed string
	tax                           string
	category                      billing.TaxCategory
	reason                        string
}

func (t tariff) taxed(category billing.TaxCategory, reason string) tariff {
	t.category, t.tax, t.reason = category, "", reason
	return t
}

func (t tariff) at(tax string) tariff {
	t.tax = tax
	return t
}

func (t tariff) amount(quantity decimal.Decimal, minor int32) decimal.Decimal {
	sign := decimal.NewFromInt(1)
	if quantity.IsNegative() {
		sign = sign.Neg()
	}
	amount := quantity.Abs().Mul(dec(t.rate)).Add(dec(t.fixed))
	if t.minimum != "" {
		amount = decimal.Max(amount, dec(t.minimum))
	}
	if t.maximum != "" {
		amount = decimal.Min(amount, dec(t.maximum))
	}
	return amount.Round(minor).Mul(sign)
}

func dec(s string) decimal.Decimal {
	if s == "" {
		return decimal.Zero
	}
	return decimal.RequireFromString(s)
}

type invoice struct {
	document.Invoice

	billed []billed
}

type billed struct {
	tariff     tariff
	quantities []string
	correction bool
	late       bool
}

func newInvoice(issuer, billTo document.Issuer) *invoice {
	if billTo.Code == "" {
		billTo.Code = billTo.Country + "-AIR"
	}
	billTo.TaxRegistration = "" // a customer has none
	if billTo.BuyerReference == "" {
		billTo.BuyerReference = billTo.Code
	}
	if billTo.Language == "" {
		billTo.Language = issuer.Language
	}
	return &invoice{Invoice: document.Invoice{
		Number: billTo.Code + "-000042", Currency: "EUR", Issuer: issuer, BillTo: billTo.Party,
		IssuedOn: billing.NewDate(2026, time.November, 30), DueOn: billing.NewDate(2026, time.December, 30),
		IssuedAt: time.Date(2026, time.November, 30, 0, 0, 3, 0, time.UTC),
	}}
}

func (i *invoice) bill(t tariff, quantities ...string) *invoice {
	i.billed = append(i.billed, billed{tariff: t, quantities: quantities})
	return i
}

func (i *invoice) correct(t tariff, quantities ...string) *invoice {
	i.billed = append(i.billed, billed{tariff: t, quantities: quantities, correction: true})
	return i
}

// late bills a flight of the period before.
func (i *invoice) late(t tariff, quantities ...string) *invoice {
	i.billed = append(i.billed, billed{tariff: t, quantities: quantities, late: true})
	return i
}

func (i *invoice) credit(number, reason string) *invoice {
	i.CreditNote, i.DueOn = true, billing.Date{}
	i.Number = i.BillTo.Code + "-CN000001"
	return i.refer(number, reason)
}

func (i *invoice) refer(number, reason string) *invoice {
	i.Reason = reason
	if number != "" {
		i.Credits = &document.Reference{Number: number, IssuedOn: billing.NewDate(2026, time.October, 31)}
	}
	return i
}

func (i *invoice) note(text string) *invoice {
	i.Issuer.Note = text
	return i
}

func (i *invoice) in(currency string) *invoice {
	i.Currency = currency
	return i
}

func (i *invoice) taxIn(currency, rate string) *invoice {
	r := dec(rate)
	i.TaxCurrency, i.TaxCurrencyRate = currency, &r
	return i
}

// done prices what was billed, and sums it as the database does.
func (i *invoice) done() *document.Invoice {
	minor, _ := billing.MinorUnits(i.Currency)
	for _, b := range i.billed {
		if b.tariff.category == "" {
			b.tariff.category = billing.TaxStandard
		}
		i.addLine(&b, minor)
	}
	for at := range i.Taxes {
		t := &i.Taxes[at]
		t.Tax = t.Base.Mul(t.Rate).Round(minor)
		i.Subtotal, i.Tax = i.Subtotal.Add(t.Base), i.Tax.Add(t.Tax)
	}
	i.Total = i.Subtotal.Add(i.Tax)
	return &i.Invoice
}

func (i *invoice) addLine(b *billed, minor int32) {
	t := b.tariff
	line := document.Line{
		Code: t.code, Description: t.description, UnitCode: t.unit, UnitRate: dec(t.rate),
		TaxCategory: t.category, TaxRate: dec(t.tax), TaxReason: t.reason, Correction: b.correction, Charges: len(b.quantities),
	}
	for at, quantity := range b.quantities {
		c := i.charge(b, at)
		c.Quantity = dec(quantity)
		c.Amount = t.amount(c.Quantity, minor)
		line.Quantity, line.Amount = line.Quantity.Add(c.Quantity), line.Amount.Add(c.Amount)
		i.Charges = append(i.Charges, c)
		if i.From.IsZero() || c.FlownOn.Before(i.From) {
			i.From = c.FlownOn
		}
		if c.FlownOn.After(i.To) {
			i.To = c.FlownOn
		}
	}
	if b.late { // late flights are on the line of the others
		for at := range i.Lines {
			if l := &i.Lines[at]; l.Code == t.code && !l.Correction {
				l.Quantity, l.Amount, l.Charges = l.Quantity.Add(line.Quantity), l.Amount.Add(line.Amount), l.Charges+line.Charges
				i.addTax(line)
				return
			}
		}
	}
	i.Lines = append(i.Lines, line)
	i.addTax(line)
}

func (i *invoice) addTax(line document.Line) {
	i.OutsideScope = line.TaxCategory == billing.TaxOutside
	for at := range i.Taxes {
		if t := &i.Taxes[at]; t.Category == line.TaxCategory && t.Rate.Equal(line.TaxRate) {
			t.Base = t.Base.Add(line.Amount)
			return
		}
	}
	i.Taxes = append(i.Taxes, document.Tax{Category: line.TaxCategory, Rate: line.TaxRate, Base: line.Amount, Reason: line.TaxReason})
}

var airports = []string{"EINN", "EGLL", "LFRO", "EDJA", "LEMD", "ENBR", "OMDB", "LELN"}

func (i *invoice) charge(b *billed, at int) document.Charge {
	nr := len(i.Charges)
	day := billing.NewDate(2026, time.November, 1).AddDays(at % 29)
	if b.late {
		day = billing.NewDate(2026, time.October, 28)
	}
	t := b.tariff
	if t.category == billing.TaxOutside { // interest, of no flight
		return document.Charge{
			FlownOn: day, Code: t.code, Description: t.description, UnitCode: t.unit, UnitRate: dec(t.rate), TaxCategory: t.category,
		}
	}
	return document.Charge{
		FlightID: fmt.Sprintf("FL-%06d", nr+1), FlownOn: day,
		Registration: fmt.Sprintf("EI-%c%c%c", 'A'+nr%26, 'A'+nr/26%26, 'A'+nr/676%26), Callsign: fmt.Sprintf("EIN%d", 100+nr%900),
		Origin: airports[nr%8], Destination: airports[(nr+3)%8],
		Code: t.code, Description: t.description, UnitCode: t.unit, UnitRate: dec(t.rate),
		TaxCategory: t.category, TaxRate: dec(t.tax), Late: b.late || b.correction, Correction: b.correction,
	}
}
